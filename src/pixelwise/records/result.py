"""Results as files: what was scored, under which protocol, and every number of it.

`result.json` is what every table and page is made from. A number that does not exist (the IoU of a
class that occurs nowhere) is NaN in memory, null in JSON, empty in CSV and `n/a` in tables.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.errors import DataError
from pixelwise.machine.facts import Machine
from pixelwise.recipes.sizes import Size
from pixelwise.storage import json_text, printable, write_bytes, write_text

RESULT = "result.json"


PER_CLASS = "per_class.csv"


PER_IMAGE = "per_image.csv"


_FRACTIONS = (
    "miou",
    "pixel_accuracy",
    "mean_accuracy",
    "frequency_weighted_iou",
    "boundary_miou",
    "calibration_error",
    "iou",
    "accuracy",
    "precision",
    "f1",
    "boundary_iou",
    "worst_image_iou",
)
"""What JSON holds as null where it does not exist."""


RESULT_FIELDS = {
    "iou": "miou",
    "pixel_accuracy": "pixel_accuracy",
    "accuracy": "mean_accuracy",
    "frequency_weighted_iou": "frequency_weighted_iou",
    "boundary_iou": "boundary_miou",
    "calibration_error": "calibration_error",
}
"""Metric -> the field of `Result` that holds its value. All others are in `Result.metrics`, as new ones will be."""


CLASS_FIELDS = {
    "iou": "iou",
    "accuracy": "accuracy",
    "precision": "precision",
    "f1": "f1",
    "boundary_iou": "boundary_iou",
}
"""Metric -> the field of `ClassResult` that holds its value per class."""


class ClassResult(msgspec.Struct, frozen=True, kw_only=True):
    """One class of a result. Fractions are 0..1, or NaN where they do not exist.

    Attributes:
        name: Class name.
        iou: Intersection over union; NaN when the class occurs in no label and no prediction.
        accuracy: Share of its labelled pixels that were found (recall).
        precision: Share of the pixels predicted as this class that are right.
        f1: Harmonic mean of accuracy and precision, which is the Dice coefficient.
        boundary_iou: IoU of the bands along the contours (arXiv:2103.16562), where it was measured.
        pixels: Labelled pixels.
        images: Images whose labels hold the class.
        worst_image: Id of the image in which this class has its lowest IoU.
        worst_image_iou: That IoU.
    """

    name: str
    iou: float
    accuracy: float
    precision: float
    pixels: int
    images: int
    worst_image: str | None
    worst_image_iou: float
    f1: float = math.nan
    boundary_iou: float = math.nan


class BinaryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A class of multi-label data: pixels in which it was found, invented, missed, and rightly left out."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


class MetricValue(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric found; a number that does not exist is NaN, in JSON null.

    Attributes:
        value: The metric's one number.
        per_class: One number per class, in the order of class ids; empty for a metric that does not tell classes apart.
        interval: Lower and upper end of a confidence interval; None for a metric that has none.
    """

    value: float = math.nan
    per_class: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None


class MetricResult(MetricValue, frozen=True, kw_only=True):
    """What a metric found over the whole split, with what it takes to show it where the metric itself is not known.

    Attributes:
        title: What tables call it.
        unit: `%` for fractions, which are 0..1 here and shown in percent; any other unit is shown as it is.
        class_title: What tables call its values per class; empty: `title`.
    """

    title: str
    unit: str
    class_title: str = ""


class TrainingCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the run behind the weights took so far.

    Attributes:
        steps: Optimizer steps.
        seconds: Wall time of training and of the evaluations in between.
        peak_memory_bytes: On a GPU, or of the process.
    """

    steps: int
    seconds: float
    peak_memory_bytes: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A score with everything that is needed to trust it, compare it and measure it again.

    Attributes:
        miou: Mean IoU, 0..1; NaN where nothing is labelled.
        per_class: In the order of class ids.
        pixel_accuracy: Share of labelled pixels that are right.
        miou_interval: 95 % confidence interval of `miou`, a bootstrap over the images: which images are in
            the split moves the number that much. It knows nothing of seeds.
        mean_accuracy: Mean accuracy of the labelled classes.
        frequency_weighted_iou: Mean IoU weighted by labelled pixels.
        boundary_miou: Mean boundary IoU of the classes that have one, where it was measured.
        calibration_error: Expected calibration error (15 bins, arXiv:1706.04599), where it was measured.
        binary_counts: Of multi-label data the counts of each class; the pixel accuracy is then the mean over pixels
            and classes, and classes count as predicted where their probability is above 0.5.
        confusion_matrix: Rows truth, columns prediction, in pixels; empty of multi-label data.
        images: Number of images.
        classes_present: Number of classes with an IoU.
        split: The split that was scored.
        protocol: Name of the protocol.
        input_size: (height, width) that the network saw; None: every image its own.
        recipe: Name of the recipe.
        recipe_hash: SHA-256 of the resolved recipe.
        weights_sha256: Of the weights file.
        weights: `ema` (averaged) or `model`.
        step: Optimizer steps behind the weights.
        training: What the run took; None for a model in memory.
        data_fingerprint: Of the scored split.
        seconds: Wall time, decoding included; of the whole pass where several protocols shared one.
        images_per_second: `images / seconds`.
        peak_memory_bytes: On a GPU of the evaluation, else of the process.
        machine: The hardware.
        versions: Python and the packages that matter.
        command: The command that measures it again.
        groups: The score of each group of images, where groups were asked for.
        metrics: Name -> what was found, of metrics that have no field of their own above.
    """

    miou: float
    per_class: tuple[ClassResult, ...]
    pixel_accuracy: float
    confusion_matrix: tuple[tuple[int, ...], ...]
    images: int
    classes_present: int
    split: str
    protocol: str
    input_size: Size | None
    recipe: str
    recipe_hash: str
    weights_sha256: str
    weights: str
    step: int
    training: TrainingCost | None
    data_fingerprint: str
    seconds: float
    images_per_second: float
    peak_memory_bytes: int
    machine: Machine
    versions: dict[str, str]
    command: str
    # Results of earlier versions lack these.
    miou_interval: tuple[float, float] | None = None
    mean_accuracy: float = math.nan
    frequency_weighted_iou: float = math.nan
    boundary_miou: float = math.nan
    calibration_error: float = math.nan
    binary_counts: tuple[BinaryCounts, ...] = ()
    groups: tuple[GroupResult, ...] = ()
    metrics: dict[str, MetricResult] = {}

    @property
    def multilabel(self) -> bool:
        """Whether a pixel may belong to several classes."""
        return bool(self.binary_counts)

    @property
    def labelled_pixels(self) -> int:
        """Pixels that count."""
        if self.binary_counts:
            return sum(msgspec.structs.astuple(self.binary_counts[0]))
        return sum(entry.pixels for entry in self.per_class)


def to_json(result: Result) -> bytes:
    """The bytes of `result.json`; NaN becomes null."""
    return json_text(result, indent=1).encode()


def from_json(data: bytes, source: str = RESULT) -> Result:
    """Read what `to_json` wrote; null becomes NaN.

    Raises:
        DataError: D240, it is not a result.
    """
    try:
        plain = msgspec.json.decode(data)
        scored = (plain, *plain.get("groups", ()))
        for part in (*scored, *plain["per_class"]):
            _null_to_nan(part, _FRACTIONS)
        for part in scored:
            for found in part.get("metrics", {}).values():
                _null_to_nan(found, ("value",))
                found["per_class"] = [math.nan if number is None else number for number in found["per_class"]]
        return msgspec.convert(plain, Result)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "D240",
            f"{source}: not a result of an evaluation: {error}",
            "write it again with `pixelwise evaluate`",
        ) from error


def save_result(result: Result, per_image: Sequence[ImageScore], folder: Path) -> Path:
    """Write `result.json`, `per_class.csv` and `per_image.csv` into `folder`.

    `result.json` comes last: where it is, the others are complete.

    Args:
        result: The result.
        per_image: One score per image.
        folder: Created when missing.

    Returns:
        The path of `result.json`.

    Raises:
        ResourceError: S601, the disk is full.
    """
    further = {name: found.per_class for name, found in result.metrics.items() if found.per_class}
    write_text(
        folder / PER_CLASS,
        _csv(
            (*ClassResult.__struct_fields__, *further),
            (
                (*msgspec.structs.astuple(entry), *(values[class_id] for values in further.values()))
                for class_id, entry in enumerate(result.per_class)
            ),
        ),
    )
    write_text(
        folder / PER_IMAGE,
        _csv(ImageScore.__struct_fields__, (msgspec.structs.astuple(entry) for entry in per_image)),
    )
    write_bytes(folder / RESULT, to_json(result))
    return folder / RESULT


def load_result(path: Path) -> Result:
    """Read a `result.json`, or the one in a folder.

    Raises:
        DataError: D240, there is none or it is not a result.
    """
    file = path / RESULT if path.is_dir() else path
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError("D240", f"{printable(file)}: {error.strerror}", "write it with `pixelwise evaluate`") from error
    return from_json(data, printable(file))


def load_per_image(folder: Path) -> tuple[ImageScore, ...]:
    """Read the `per_image.csv` of an evaluation folder; empty when there is none.

    Raises:
        DataError: D240, it is not what `save_result` writes.
    """
    path = folder / PER_IMAGE
    if not path.is_file():
        return ()
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return tuple(
                ImageScore(
                    id=row["id"],
                    miou=_number(row["miou"]),
                    pixel_accuracy=_number(row["pixel_accuracy"]),
                    labelled_pixels=int(row["labelled_pixels"]),
                )
                for row in csv.DictReader(file)
            )
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            "D240",
            f"{printable(path)}: not a table of image scores: {error}",
            "write it again with `pixelwise evaluate`",
        ) from error


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row])
    return text.getvalue()


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _null_to_nan(plain: dict[str, Any], keys: Iterable[str]) -> None:
    for key in keys:
        if key in plain and plain[key] is None:
            plain[key] = math.nan


class ImageScore(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one image.

    Attributes:
        id: Sample id.
        miou: Mean IoU over the classes that occur in this image's labels or prediction; NaN where
            nothing is labelled.
        pixel_accuracy: Share of its labelled pixels that are right; NaN where nothing is labelled.
        labelled_pixels: Pixels that count.
    """

    id: str
    miou: float
    pixel_accuracy: float
    labelled_pixels: int


class GroupResult(msgspec.Struct, frozen=True, kw_only=True):
    """The score of a group of images. Fractions are 0..1.

    Attributes:
        name: Of the group.
        images: How many of the split's images are in it.
        miou: Mean IoU over the group's own counts; NaN where nothing is labelled.
        pixel_accuracy: Share of its labelled pixels that are right; NaN where nothing is labelled.
        iou: Per class, in the order of class ids; None where the class occurs in no label and no prediction.
        metrics: Name -> what was found, of metrics that have no field above.
    """

    name: str
    images: int
    miou: float
    pixel_accuracy: float
    iou: tuple[float | None, ...]
    metrics: dict[str, MetricValue] = {}
