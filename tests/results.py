"""A result by hand, for tests."""

from __future__ import annotations

import math
from typing import Any

from pixelwise.machine.facts import Machine
from pixelwise.records.result import Result
from pixelwise.records.scores import ClassResult

MACHINE = Machine(cpu="x", cores=2, threads=2, gpu=None, memory_bytes=1, platform="p", features=())


def class_result(name: str, iou: float, **changes: Any) -> ClassResult:
    """The scores of a class, all of them `iou`."""
    known: dict[str, Any] = {"accuracy": iou, "precision": iou, "f1": iou, "pixels": 7, "images": 1}
    return ClassResult(name=name, iou=iou, worst_image="image-00", worst_image_iou=iou, **{**known, **changes})


def miniature(**changes: Any) -> Result:
    """A result of three classes, the last of which occurs nowhere."""
    fields: dict[str, Any] = {
        "miou": 0.75,
        "per_class": (class_result("grass", 0.875), class_result("path", 0.625), class_result("hut", math.nan)),
        "pixel_accuracy": 0.9,
        "confusion_matrix": ((7, 0, 0), (1, 6, 0), (0, 0, 0)),
        "images": 2,
        "classes_present": 2,
        "split": "val",
        "protocol": "native",
        "input_size": None,
        "recipe": "r",
        "recipe_hash": "h",
        "weights_sha256": "w",
        "weights": "ema",
        "step": 1200,
        "training": None,
        "data_fingerprint": "f",
        "seconds": 2.0,
        "images_per_second": 1.0,
        "peak_memory_bytes": 3,
        "machine": MACHINE,
        "versions": {"python": "3"},
        "command": "pixelwise evaluate runs/x",
        "miou_interval": (0.5, 0.9),
        "mean_accuracy": 0.8,
    }
    return Result(**{**fields, **changes})
