"""Run folders for tests of trackers, and a tracker that remembers what it is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from results import miniature

from pixelwise.recipes.catalog import recipe
from pixelwise.records.data_facts import DataFacts, write_data_facts
from pixelwise.records.environment import Environment, write_environment
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.log import AnyRecord, EvaluationRecord, FinishedRecord, StepRecord, append_log
from pixelwise.records.pictures import PICTURES, Moment, Picture, Pictures, write_pictures
from pixelwise.records.result import RESULT
from pixelwise.records.run_folder import REPORT, write_recipe
from pixelwise.records.status import STATUS, Pace, RunStatus
from pixelwise.storage import json_text, write_text
from pixelwise.training.trackers.tracker import TrackedRun, Tracker


def at_home(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let every tracker keep its runs below a folder, whatever this machine is logged in to."""
    monkeypatch.chdir(folder)
    for name in [*os.environ]:
        if name.startswith(("MLFLOW_", "WANDB_", "TRACKIO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
    for name in [*sys.modules]:  # trackio reads its folder when it is imported
        if name.partition(".")[0] == "trackio":
            monkeypatch.delitem(sys.modules, name)


CLASSES = ("road", "sky (grey)")


def step(number: int, loss: float | None = None) -> StepRecord:
    return StepRecord(step=number, epoch=1, loss=1 / number if loss is None else loss, lr=0.5, grad_norm=2.0)


def evaluation(number: int, miou: float = 0.25) -> EvaluationRecord:
    return EvaluationRecord(
        step=number, split="val", protocol="native", miou=miou, pixel_accuracy=0.5, per_class_iou=(miou, None)
    )


def begun(folder: Path, *records: AnyRecord) -> Path:
    """A run folder that holds what a run has at its beginning, and records."""
    folder.mkdir(parents=True, exist_ok=True)
    write_environment(folder, Environment(command="pixelwise train town-demo", versions={"torch": "2.12"}))
    write_data_facts(folder, DataFacts(dataset="town", classes=CLASSES, fingerprint="f00d"))
    write_recipe(folder, recipe("town-demo"))
    append_log(folder, records)
    return folder


def ended(folder: Path) -> Path:
    """A run folder of four steps with everything: log, pace, pictures, a result and a report."""
    begun(folder, step(1), step(2), evaluation(2), step(3), step(4), evaluation(4, 0.75))
    append_log(folder, [FinishedRecord(step=4, seconds=8.0, peak_memory_bytes=100)])
    paces = (Pace(step=2, seconds=4.0, images_per_second=3.0), Pace(step=4, seconds=8.0, images_per_second=5.0))
    write_text(folder / STATUS, json_text(RunStatus(paces=paces)))
    draw(folder, 2, 4)
    place = evaluation_folder(folder, "val", "native")
    place.mkdir(parents=True)
    write_text(place / RESULT, json_text(miniature(step=4)))
    write_text(folder / REPORT, "<p>report</p>")
    return folder


def draw(folder: Path, *steps: int) -> None:
    """A grey photo of 4 x 6 pixels, and predictions that are red and opaque in its left half."""
    (folder / PICTURES).mkdir(exist_ok=True)
    Image.new("RGB", (6, 4), (100, 100, 100)).save(folder / PICTURES / "photo.webp", lossless=True)
    layer = np.zeros((4, 6, 4), np.uint8)
    layer[:, :3] = (200, 0, 0, 255)
    moments = []
    for number in steps:
        Image.fromarray(layer).save(folder / PICTURES / f"layer-{number}.webp", lossless=True, exact=True)
        moments.append(Moment(step=number, layers=(f"layer-{number}.webp",)))
    picture = Picture(id="a/1", height=4, width=6, photo="photo.webp", labels=f"layer-{steps[0]}.webp")
    write_pictures(folder, Pictures(split="val", images=(picture,), moments=tuple(moments)))


class Remembering(Tracker):
    """Remembers what it is told, in a list of the class; `fails_at` is what it fails at."""

    told: list[Any]
    fails_at = ""

    def _hear(self, what: str) -> None:
        type(self).told.append(what)
        if what == self.fails_at:
            raise OSError("no connection to https://me:secret@server/?token=1")

    def start(self, run: TrackedRun) -> None:
        self.tracked = run.tracked or "number one"
        self.where = "in the memory"
        self._hear(f"start {run.done} {run.tracked}".strip())

    def step(self, step: StepRecord) -> None:
        self._hear(f"step {step.step}")

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        self._hear(f"evaluation {evaluation.step}")

    def record(self, record: AnyRecord) -> None:
        self._hear(f"{record.__struct_config__.tag} {record.step}")

    def pace(self, pace: Pace) -> None:
        self._hear(f"pace {pace.step}")

    def picture(self, picture: Any) -> None:
        self._hear(f"picture {picture.step}")

    def result(self, name: str, result: Any) -> None:
        self._hear(f"result {name}")

    def file(self, name: str, path: Path) -> None:
        self._hear(f"file {name}")

    def state(self, state: str) -> None:
        self._hear(f"state {state}")

    def finish(self) -> None:
        self._hear("finish")


def remembering(fails_at: str = "") -> type[Remembering]:
    """A tracker class of its own, which has been told nothing."""
    return type("Own", (Remembering,), {"told": [], "fails_at": fails_at})


def rewound(folder: Path, *records: AnyRecord) -> None:
    """Replace the log, as a resumed run does."""
    write_text(folder / "log.jsonl", "".join(msgspec.json.encode(record).decode() + "\n" for record in records))
