from pathlib import Path

import msgspec
import pytest
from runs_to_show import shown_run

import pixelwise
from pixelwise.pages.catalog import Catalog, Refused
from pixelwise.pages.networks.permission import require_predictable
from pixelwise.recipes.overrides import to_toml
from pixelwise.records.environment import Arguments, Environment


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a checkpoint and a result, of data that lies in a folder."""
    run = shown_run(tmp_path / "a")
    (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("enet-camvid")))
    (run / "checkpoints" / "step-00000001").mkdir(parents=True)
    return run


def refusal(run: Path, folder: Path | None, monkeypatch: pytest.MonkeyPatch, *further: Path) -> str:
    catalog = Catalog([run, *further])
    entry = catalog.entries()[0]
    result = catalog.result(entry)
    assert result is not None
    environment = Environment(arguments=Arguments(data=None if folder is None else str(folder)))
    monkeypatch.setattr("pixelwise.pages.networks.permission.read_environment", lambda _: environment)
    try:
        require_predictable(catalog, entry, msgspec.structs.replace(result, data="", own_data=True))
    except Refused as refused:
        return str(refused)
    return ""


def test_images_outside_the_folders_are_not_shown(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = tmp_path / "photos"
    data.mkdir()
    said = refusal(run, data, monkeypatch)
    assert said == f"Its picture is not kept. `pixelwise ui RUNS {data}` predicts it when you look at it."
    assert "the folder of its data" in refusal(run, None, monkeypatch)
    assert refusal(run, data, monkeypatch, data) == ""


def test_a_run_without_weights_predicts_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (run / "checkpoints" / "step-00000001").rmdir()
    assert "no weights" in refusal(run, tmp_path, monkeypatch)
