from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

import pixelwise
from pixelwise.deployment.card.card import DeployCard
from pixelwise.errors import RecipeError, RunLockedError
from pixelwise.observer import Observer
from pixelwise.storage.atomic import TEMPORARY_PREFIX
from pixelwise.storage.locks import writing_alone


class Watching(Observer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, name: str) -> None:
        self.phases.append(name)


class Made(NamedTuple):
    """A card that was made in a folder which existed and was empty, and what was told meanwhile."""

    folder: Path
    card: DeployCard
    phases: list[str]


@pytest.fixture(scope="module")
def made(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    output, observer = tmp_path_factory.mktemp("card"), Watching()
    card = pixelwise.deploy(tiny_run, output, targets=("torch-export",), rounds=0, max_miou_drop=0.5, observer=observer)
    return Made(output, card, observer.phases)


def test_a_folder_that_is_in_use_or_not_empty_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "mine.txt").write_text("mine")
    with pytest.raises(RecipeError) as caught:
        pixelwise.deploy(tiny_run, tmp_path / "card")
    assert caught.value.code == "R243"
    with writing_alone(tmp_path / "other"), pytest.raises(RunLockedError):
        pixelwise.deploy(tiny_run, tmp_path / "other")
    assert [path.name for path in tmp_path.rglob("*")] == ["card", "mine.txt"]


@pytest.mark.heavy
def test_the_card_is_written_whether_its_budget_holds_or_not(made: Made) -> None:
    card = made.card
    assert card.rows[0].runtime == "torch"
    assert card.rows[-1].runtime == "torch-export"
    assert card.over_budget() == ()
    written = json.loads((made.folder / "card.json").read_text("utf-8"))
    assert written["rows"][-1]["miou"] == card.rows[-1].miou
    assert {"card.html", "card.md", "card.json", "torch-export", "torch"} <= {
        path.name for path in made.folder.iterdir()
    }
    assert {"reading the run", "writing torch-export", "scoring torch.export"} <= set(made.phases)


@pytest.mark.heavy
def test_nothing_in_the_folder_names_the_place_where_it_was_built(made: Made) -> None:
    files = [path for path in made.folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert TEMPORARY_PREFIX.encode() not in path.read_bytes(), path
    (result,) = made.folder.glob("torch-export/evaluations/*/result.json")
    assert f"pixelwise evaluate {made.folder / 'torch-export'} " in json.loads(result.read_text("utf-8"))["command"]


def test_unknown_options_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'targets'"):
        pixelwise.deploy(tiny_run, tmp_path / "card", target="onnx")
    with pytest.raises(RecipeError) as caught:
        pixelwise.deploy(tiny_run, tmp_path / "card", targets=("tflite",))
    assert caught.value.code == "R250"
    assert not (tmp_path / "card").exists()
