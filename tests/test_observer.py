import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pixelwise
from pixelwise.observer import SILENT, Observer, Relay, TrainingScore, TrainingStart, TrainingStatus, observing


def test_an_observer_is_silent_until_something_is_overridden():
    SILENT.phase("training")
    SILENT.progress(1, None)
    SILENT.warn("W1", "x")


def test_functions_become_an_observer_and_are_removed_from_the_options():
    said: list[object] = []
    keywords: dict[str, Any] = {"progress": lambda *counts: said.append(counts), "boundary": False}

    observer = observing(SILENT, keywords)
    observer.progress(1, 2)
    observer.progress(3, None)  # the functions of before never heard of work of unknown length
    observer.warn("K412", "nobody listens")

    assert said == [(1, 2)]
    assert keywords == {"boundary": False}


def test_without_functions_the_observer_stays():
    mine = Observer()
    assert observing(mine, {"progress": None, "warn": None}) is mine
    assert observing(mine, {}) is mine


def test_warnings_reach_their_function():
    said: list[tuple[str, str]] = []
    observing(SILENT, {"warn": lambda code, message: said.append((code, message))}).warn("K412", "damaged")
    assert said == [("K412", "damaged")]


def test_a_relay_passes_every_event_on_and_its_subclasses_may_look_at_some():
    said: list[tuple[str, tuple[Any, ...]]] = []

    class Everything(Observer):
        def __getattribute__(self, name: str) -> Any:
            return lambda *what: said.append((name, what))

    class Curious(Relay):
        def phase(self, name: str, unit: str = "") -> None:
            said.append(("looked", (name,)))
            super().phase(name, unit)

    relay, plain = Curious(Everything()), Relay(Everything())
    relay.phase("x", "bytes")
    assert said == [("looked", ("x",)), ("phase", ("x", "bytes"))]
    events = [name for name in vars(Observer) if not name.startswith("_")]
    assert {"phase", "progress", "begin", "step", "warn"} <= set(events)
    for event in events:
        getattr(plain, event)(event)
    assert said[2:] == [(event, (event,)) for event in events]


def test_the_observer_in_the_documentation_sends_what_it_is_told(monkeypatch: pytest.MonkeyPatch):
    page = (Path(__file__).parent.parent / "docs" / "extending.md").read_text("utf-8")
    section = page.split("## Watch a training")[1]
    (code,) = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.S)
    sent: list[tuple[dict[str, Any], int]] = []
    log = SimpleNamespace(log=lambda values, step: sent.append((values, step)))
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **options: log))  # type: ignore[arg-type]

    def train(recipe: str, data: str, observer: Observer) -> None:
        assert (recipe, data) == ("unet", "photos")
        length: dict[str, Any] = {"step": 2, "steps": 4, "epoch": 1, "epochs": 2}
        words = dict.fromkeys(("network", "weights", "data", "batches", "machine", "folder"), "")
        speed: dict[str, Any] = {"images_per_second": None, "data_wait_share": 0.0, "miou": None, "best_miou": None}
        observer.begin(TrainingStart(**words))
        observer.step(TrainingStatus(**length, **speed, loss=0.5, lr=0.25))
        observer.scored(TrainingScore(**length, split="val", mious=(0.1, 0.2), best_miou=0.2))

    monkeypatch.setattr(pixelwise, "train", train)
    exec(code, {})
    assert sent == [({"loss": 0.5, "lr": 0.25}, 2), ({"mIoU val": 0.2}, 2)]
