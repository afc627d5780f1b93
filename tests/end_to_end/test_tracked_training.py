"""A training that is tracked from the command line, loses its last checkpoint and repeats steps: one tracked run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tracked_runs import at_home

from pixelwise.records.evaluations import find_result
from pixelwise.records.log import EvaluationRecord, StepRecord, read_log

pytestmark = pytest.mark.heavy
MANY = ("checkpoints.every_steps=4", "selection.weights=last")


def tensorboard(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def mlflow(database: Path) -> dict[str, list[tuple[int, float]]]:
    """The series of the only run in a database."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    (run,) = client.search_runs([client.get_experiment_by_name("pixelwise").experiment_id])
    assert run.info.status == "FINISHED"
    return {
        name: sorted((one.step, one.value) for one in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }


def test_a_training_that_repeats_steps_is_one_tracked_run(
    tiny_data: Path, tiny_recipe: Path, tmp_path: Path, run_cli: Callable, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("mlflow", reason="pip install 'pixelwise[mlflow]'")
    pytest.importorskip("tensorboard", reason="pip install 'pixelwise[track]'")
    at_home(monkeypatch, tmp_path)
    run = tmp_path / "first"
    options = ("--data", tiny_data, "--output", run, "--threads", "1", "--track", "mlflow", "--track", "tensorboard")
    done = run_cli(["train", tiny_recipe, *options, "schedule.iterations=12", *MANY])
    assert done.code == 0, done.stderr
    shutil.rmtree(max((run / "checkpoints").glob("step-*")))
    done = run_cli(["resume", run])
    assert done.code == 0, done.stderr
    assert '"kind":"resume"' in (run / "log.jsonl").read_text()
    log = read_log(run)
    found = mlflow(tmp_path / "mlflow.db")
    assert [number for number, _ in found["train/loss"]] == list(range(1, 13))
    assert found["train/loss"] == [(record.step, record.loss) for record in log.of(StepRecord)]
    scores = [(record.step, record.miou) for record in log.of(EvaluationRecord)]
    assert found["val-native/miou"] == sorted(set(found["val-native/miou"]) | set(scores))
    result = find_result(run, "val", "native") or find_result(run, "test", "native")
    assert result is not None
    assert found[f"result/{result.split}-native/miou"][-1] == (12, result.miou)
    curves = tensorboard(run / "tensorboard")
    assert curves["train/loss"] == [(number, pytest.approx(value)) for number, value in found["train/loss"]]

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'later.db'}")
    done = run_cli(["track", run, "--to", "mlflow", "--to", "tensorboard", "--new"])
    assert done.code == 0, done.stderr
    later = mlflow(tmp_path / "later.db")
    assert later["train/loss"] == found["train/loss"]
    assert later["train/lr"] == found["train/lr"]
    assert tensorboard(run / "tensorboard")["train/loss"] == curves["train/loss"]
