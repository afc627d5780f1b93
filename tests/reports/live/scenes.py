"""A run in the middle of its training, with pictures, for tests of the live page."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from reports.run_folders import EVIL

from pixelwise.machine.processes import process_mark
from pixelwise.observer import TrainingStatus
from pixelwise.records.pictures import PICTURES, Moment, Pictures, write_pictures
from pixelwise.records.status import STATUS, Pace, RunStatus
from pixelwise.storage import json_text, write_bytes
from pixelwise.training.pictures.layers import layer, write_picture

TRAINING = TrainingStatus(
    step=60, steps=240, epoch=6, epochs=24, loss=0.2, lr=0.001, images_per_second=7.5, data_wait_share=0.4, miou=0.5,
    best_miou=0.6,
)  # fmt: skip


def running(**changes: object) -> RunStatus:
    status = RunStatus(
        state="training",
        process=process_mark(),
        pid=4711,
        host="desk",
        written=1000.0,
        ends=1150.0,
        training=TRAINING,
        phase="training",
        paces=(Pace(step=1, seconds=2.0, images_per_second=7.0), Pace(step=60, seconds=75.0, images_per_second=7.5)),
    )
    return msgspec.structs.replace(status, **changes)


def write_status(run: Path, status: RunStatus) -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / STATUS).write_text(json_text(status))


def write_scene(run: Path) -> None:
    """Two batch pictures, one of them with an evil id, and a fixed image with two predictions."""
    colors = [layer(np.full((6, 8), number, np.uint8), [(0, 128, 0), (200, 0, 0)], (), (6, 8)) for number in (0, 1)]
    photo = np.full((6, 8, 3), 90, np.uint8)
    batch = tuple(
        write_picture(run, f"batch-{number}", sample, photo, colors[0], (6, 8))
        for number, sample in enumerate(("a", EVIL), 1)
    )
    image = write_picture(run, "image-1", "day/a", photo, colors[0], (6, 8))
    moments = []
    for step in (20, 40):
        write_bytes(run / PICTURES / f"image-1-step-{step}.webp", colors[step == 40])
        moments.append(Moment(step=step, layers=(f"image-1-step-{step}.webp",)))
    write_pictures(run, Pictures(batch=batch, split="val", images=(image,), moments=tuple(moments)))
