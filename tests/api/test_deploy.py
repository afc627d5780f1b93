from __future__ import annotations

import json
from pathlib import Path

import pytest

import pixelwise
from pixelwise.errors import RecipeError
from pixelwise.observer import Observer


class Watching(Observer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, name: str) -> None:
        self.phases.append(name)


def test_the_card_is_written_whether_its_budget_holds_or_not(tiny_run: Path, tmp_path: Path) -> None:
    observer = Watching()
    card = pixelwise.deploy(
        tiny_run, tmp_path / "card", targets=("torch-export",), rounds=0, max_miou_drop=0.5, observer=observer
    )
    assert card.rows[0].runtime == "torch"
    assert card.rows[-1].runtime == "torch-export"
    assert card.over_budget() == ()
    written = json.loads((tmp_path / "card" / "card.json").read_text("utf-8"))
    assert written["rows"][-1]["miou"] == card.rows[-1].miou
    assert {"card.html", "card.md", "card.json", "torch-export", "torch"} <= {
        path.name for path in (tmp_path / "card").iterdir()
    }
    assert {"reading the run", "writing torch-export", "scoring torch.export"} <= set(observer.phases)


def test_unknown_options_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'targets'"):
        pixelwise.deploy(tiny_run, tmp_path / "card", target="onnx")
    with pytest.raises(RecipeError) as caught:
        pixelwise.deploy(tiny_run, tmp_path / "card", targets=("tflite",))
    assert caught.value.code == "R250"
    assert not (tmp_path / "card").exists()
