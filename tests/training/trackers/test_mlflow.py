"""What MLflow's own client reads from a local database after a run was sent there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tracked_runs import at_home, begun, ended, evaluation, rewound, step

from pixelwise.errors import RecipeError, ResourceError
from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts, write_data_facts
from pixelwise.records.log import FinishedRecord, append_log
from pixelwise.training.trackers.following import Followers
from pixelwise.training.trackers.mlflow import MlflowTracker
from pixelwise.training.trackers.sending import track

pytest.importorskip("mlflow", reason="pip install 'pixelwise[mlflow]'")
pytest.importorskip("sqlalchemy", reason="pip install 'pixelwise[mlflow]'")

pytestmark = pytest.mark.heavy  # its import and its first database take seconds


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs, which takes MLflow longer to make than to fill."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def client(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from mlflow import MlflowClient

    at_home(monkeypatch, tmp_path)
    shutil.copy(empty, tmp_path / "mlflow.db")
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def runs(client: Any) -> list[Any]:
    found = client.get_experiment_by_name("pixelwise")
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def series(client: Any, run: Any) -> dict[str, list[tuple[int, float]]]:
    """Name -> (step, value), as MLflow has them."""
    return {
        name: sorted((one.step, one.value) for one in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }


def files(client: Any, run: Any, folder: str = "") -> list[str]:
    found = []
    for one in client.list_artifacts(run.info.run_id, folder):
        found += files(client, run, one.path) if one.is_dir else [one.path]
    return found


def test_an_old_run_arrives_whole(client: Any, tmp_path: Path):
    (sent,) = track(ended(tmp_path / "first"), to="mlflow")
    (run,) = runs(client)
    assert (sent.tracked, sent.records) == (run.info.run_id, 7)
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params["optimizer.lr"] == str(recipe("town-demo").optimizer.lr)
    assert run.data.tags["data_fingerprint"] == "f00d"
    assert run.data.tags["version.torch"] == "2.12"
    found = series(client, run)
    assert found["train/loss"] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert found["val-native/miou"] == [(2, 0.25), (4, 0.75)]
    assert found["val-native/iou/road"] == [(2, 0.25), (4, 0.75)]
    assert found["speed/images_per_second"] == [(2, 3.0), (4, 5.0)]
    assert found["training/seconds"] == [(4, 8.0)]
    assert found["result/val-native/iou/grass"] == [(4, 0.875)]
    assert {"report.html", "evaluations/val-native/result.json"} <= set(files(client, run))
    assert any("prediction-a_1" in name for name in files(client, run))


def test_a_run_that_was_followed_and_stopped_and_resumed_is_one_run(client: Any, tmp_path: Path):
    folder = begun(tmp_path / "first", step(1), step(2), evaluation(2), step(3))
    Followers(folder, ("mlflow",)).finish(60.0)
    assert [run.info.status for run in runs(client)] == ["KILLED"]
    rewound(folder, step(1), step(2), evaluation(2))
    append_log(folder, [step(3), step(4), evaluation(4, 0.75), FinishedRecord(step=4, seconds=8.0)])
    Followers(folder, ("mlflow",)).finish(60.0)
    track(folder, to="mlflow")
    (run,) = runs(client)
    assert run.info.status == "FINISHED"
    found = series(client, run)
    assert found["train/loss"] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert found["val-native/miou"] == [(2, 0.25), (4, 0.75)]


def test_new_begins_another_run_and_so_does_another_database(
    client: Any, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = ended(tmp_path / "first")
    for _ in range(2):
        track(folder, to="mlflow", new=True)
    assert len(runs(client)) == 2
    shutil.copy(empty, tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    (sent,) = track(folder, to="mlflow")
    assert sent.records == 7
    assert "other.db" in sent.where


def test_a_run_that_is_gone_there_is_an_error_with_a_way_out(client: Any, tmp_path: Path):
    from mlflow.exceptions import MlflowException

    folder = ended(tmp_path / "first")
    track(folder, to="mlflow")
    (run,) = runs(client)
    client.delete_run(run.info.run_id)
    with pytest.raises(ResourceError) as caught:
        track(folder, to="mlflow")
    assert isinstance(caught.value.__cause__, MlflowException)
    assert (caught.value.code, "--new" in caught.value.help) == ("T510", True)
    track(folder, to="mlflow", new=True)
    assert len(runs(client)) == 1


def test_any_names_of_classes_are_accepted_and_remain_different(client: Any, tmp_path: Path):
    names = ("a (b), 50 %", "a (b); 50 %", "..", ".", "/", "_", "ä:b", "a" * 250, "a" * 251)
    scores = tuple(number / 16 for number in range(len(names)))
    folder = begun(tmp_path / "first", msgspec.structs.replace(evaluation(2), per_class_iou=scores))
    write_data_facts(folder, DataFacts(classes=names))
    track(folder, to="mlflow")
    (run,) = runs(client)
    assert sorted(value for key, value in run.data.metrics.items() if "/iou/" in key) == list(scores)


def test_a_server_that_is_away_is_a_warning_without_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    at_home(monkeypatch, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:geheim123@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = ended(tmp_path / "first")
    followers = Followers(folder, ("mlflow",))
    followers.finish(60.0)
    ((code, message),) = followers.troubles()
    assert (code, "geheim123" in message) == ("W504", False)
    assert not any(b"geheim123" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_without_the_package_it_is_an_error_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(RecipeError) as caught:
        MlflowTracker.require()
    assert (caught.value.code, "pixelwise[mlflow]" in caught.value.help) == ("R272", True)
