"""Evaluation results and their files `result.json`, `per_class.csv`, `per_image.csv` and `per_image_iou.csv`.

Every table and page is made from `result.json`. An undefined value (such as the IoU of a class that occurs nowhere) is
NaN in memory, null in JSON, empty in CSV and `n/a` in tables.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pixelwise.errors import DataError
from pixelwise.machine.facts import Machine
from pixelwise.recipes.sizes import Size
from pixelwise.records import showing
from pixelwise.records.environment import Ancestor
from pixelwise.records.scores import BinaryCounts, CalibrationBin, ClassResult, GroupResult, ImageScore, MetricResult
from pixelwise.storage import json_text, printable, write_bytes, write_text
from pixelwise.storage.cells import cell, text_in
from pixelwise.storage.documents import DocumentError, read_document, read_text, reading
from pixelwise.views import frame, polars_frame

if TYPE_CHECKING:
    import pandas  # type: ignore[import-not-found]
    import polars  # type: ignore[import-not-found]

    from pixelwise.records.showing import Rows

RESULT = "result.json"
PER_CLASS = "per_class.csv"
PER_IMAGE = "per_image.csv"
PER_IMAGE_IOU = "per_image_iou.csv"
"""IoU of each class in each image: the id, then one column per class."""
_SCORE_COLUMNS = ("id", "miou", "pixel_accuracy", "labelled_pixels")
_HELP = "write it again with `pixelwise evaluate`"
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
"""Fields that are NaN in memory and null in JSON if they are undefined."""


class TrainingCost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost so far of the training run that produced the weights.

    Attributes:
        steps: Number of optimizer steps.
        seconds: Wall-clock time of training, including the evaluations during training.
        peak_memory_bytes: Peak memory use of the GPU, or of the process if it trained on the CPU.
        planned_steps: Number of steps of the whole training by its recipe, or `steps` if `selection.patience` ended it;
            None if not recorded.
    """

    steps: int
    seconds: float
    peak_memory_bytes: int
    planned_steps: int | None = None

    @property
    def share(self) -> float:
        """How much of the whole training was done, 0..1; 1 if that is not known."""
        return min(1.0, self.steps / self.planned_steps) if self.planned_steps else 1.0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an evaluation, with everything needed to verify, compare and reproduce it.

    Attributes:
        miou: Mean IoU, 0..1; NaN if nothing is labelled.
        per_class: Scores of each class, in the order of class ids.
        pixel_accuracy: Fraction of labelled pixels that are classified correctly.
        miou_interval: 95 % bootstrap confidence interval of `miou`: the uncertainty from the choice of images, not from
            training seeds.
        drawn: Number of units that were drawn for it: series of images that are alike, such as the frames of a video,
            or images; None if not recorded.
        series: Number of series that the names of the images show, if these are too few or too large to be drawn as a
            whole; 0 without any.
        mean_accuracy: Mean accuracy of the labelled classes.
        frequency_weighted_iou: Mean IoU weighted by labelled pixels.
        boundary_miou: Mean boundary IoU of the classes for which it is defined; NaN if not measured.
        calibration_error: Expected calibration error (15 bins, arXiv:1706.04599); NaN if not measured.
        calibration: Counts of these bins, from the least to the greatest confidence; empty if not measured.
        binary_counts: Pixel counts of each class of multi-label data; the pixel accuracy is then the mean over pixels
            and classes, and a class counts as predicted if its probability is above 0.5.
        confusion_matrix: Pixel counts, with a row per ground-truth class and a column per predicted class; empty for
            multi-label data.
        images: Number of images.
        classes_present: Number of classes with a defined IoU.
        split: Evaluated split.
        protocol: Name of the evaluation protocol.
        input_size: (height, width) of the network's input; None if it varies with the image.
        recipe: Name of the recipe.
        recipe_hash: SHA-256 of the resolved recipe.
        weights_sha256: SHA-256 of the weights file.
        weights: `ema` (averaged) or `model`.
        step: Number of optimizer steps that the weights were trained for.
        training: Cost of the training run; None for a model in memory.
        data_fingerprint: Fingerprint of the evaluated split.
        seconds: Wall-clock time including decoding; that of the whole pass if several protocols shared one.
        images_per_second: `images` divided by `seconds`.
        peak_memory_bytes: Peak memory use of the GPU during the evaluation, or of the process on the CPU.
        machine: Hardware of the evaluation.
        versions: Versions of Python and of the packages that can change a result.
        command: Command line that repeats the evaluation.
        groups: Scores of each group of images, if groups were requested.
        metrics: Values of the metrics without a field of their own, by name.
        data: Folder of the data set that was scored; empty for generated data or if not recorded.
        own_data: Whether this is the data that the run was trained on; None if that is not known.
        notes: What has to be known about the data, its classes and its splits to read the scores, as sentences.
        derived_from: The networks that the weights were derived from by learning from them, with their licences.
        variant: Options that make this another question than the same split and protocol without them; empty if none.
        per_image: Scores of each image, in the order of the split. They are in files of their own, not in
            `result.json`: `pixelwise.Run.result` reads them, `load_result` does not.
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
    # Results of earlier versions lack the following fields.
    miou_interval: tuple[float, float] | None = None
    drawn: int | None = None
    series: int = 0
    mean_accuracy: float = math.nan
    frequency_weighted_iou: float = math.nan
    boundary_miou: float = math.nan
    calibration_error: float = math.nan
    calibration: tuple[CalibrationBin, ...] = ()
    binary_counts: tuple[BinaryCounts, ...] = ()
    groups: tuple[GroupResult, ...] = ()
    metrics: dict[str, MetricResult] = {}
    data: str = ""
    own_data: bool | None = None
    notes: tuple[str, ...] = ()
    derived_from: tuple[Ancestor, ...] = ()
    variant: str = ""
    per_image: tuple[ImageScore, ...] = ()

    def __repr__(self) -> str:
        return showing.result_line(self)

    def _repr_html_(self) -> str:
        return showing.result_html(self)

    def to_pandas(self, rows: Rows = "class") -> pandas.DataFrame:
        """The scores as a pandas frame, fractions 0..1; NaN where a score is undefined.

        Args:
            rows: `class`: a row per class, with IoU, accuracy, precision and so on. `image`: a row per image, with its
                mean IoU, its pixel accuracy and its IoU of each class. `confusion`: a row per labelled class and a
                column per predicted one, in pixels.

        Raises:
            RecipeError: R240, pandas is not installed; R260, there are no such rows.
        """
        columns, index = showing.result_columns(self, rows)
        return frame(columns, index)

    def to_polars(self, rows: Rows = "class") -> polars.DataFrame:
        """The scores as a polars frame, fractions 0..1; NaN where a score is undefined.

        Args:
            rows: As for `to_pandas`; the classes or images are the first column.

        Raises:
            RecipeError: R240, polars is not installed; R260, there are no such rows.
        """
        return polars_frame(showing.result_columns(self, rows)[0])

    @property
    def multilabel(self) -> bool:
        """Whether a pixel can belong to several classes."""
        return bool(self.binary_counts)

    @property
    def labelled_pixels(self) -> int:
        """Number of labelled pixels."""
        if self.binary_counts:
            return sum(msgspec.structs.astuple(self.binary_counts[0]))
        return sum(entry.pixels for entry in self.per_class)


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """What an evaluation is as long as other workers have units to do: it has no result yet.

    Attributes:
        split: Name of the split.
        done: Number of images whose unit is done.
        images: Number of images of the split.
    """

    split: str
    done: int
    images: int


def to_plain(result: Result) -> dict[str, Any]:
    """The content of `result.json` as plain values, which has no scores of single images."""
    plain = msgspec.to_builtins(result)
    del plain["per_image"]
    return plain


def to_json(result: Result) -> bytes:
    """The bytes of `result.json`; NaN becomes null."""
    return json_text(to_plain(result), indent=1).encode()


def from_json(data: bytes, source: str = RESULT) -> Result:
    """Read the bytes written by `to_json`; null becomes NaN.

    Args:
        data: Content of `result.json`.
        source: Name of the file, for error messages.

    Raises:
        DataError: D240, the data is not a result.
    """
    try:
        with reading(Path(source)):
            plain = msgspec.json.decode(data)
            scored = (plain, *plain.get("groups", ()))
            for part in (*scored, *plain["per_class"]):
                _null_to_nan(part, _FRACTIONS)
            for part in scored:
                _nulls_within(part, ("miou_interval",))
                for found in part.get("metrics", {}).values():
                    _null_to_nan(found, ("value",))
                    _nulls_within(found, ("per_class", "interval"))
            return msgspec.convert(plain, Result)
    except DocumentError as error:
        raise DataError("D240", f"{source}: not an evaluation result: {error.reason}", _HELP) from error


def save_result(result: Result, per_image: Sequence[ImageScore], folder: Path) -> Path:
    """Write `result.json` and the tables per class and per image into `folder`.

    `result.json` is written last: if it exists, the others are complete.

    Args:
        result: Result to write.
        per_image: Scores of each image.
        folder: Target folder, created if missing.

    Returns:
        Path of `result.json`.

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
    classes = [entry.name for entry in result.per_class]
    known = [(entry.id, *_with_nan(entry.iou)) for entry in per_image if entry.iou]
    write_text(folder / PER_IMAGE_IOU, _csv(("id", *map(cell, classes)), known))
    scores = ([getattr(entry, name) for name in _SCORE_COLUMNS] for entry in per_image)
    write_text(folder / PER_IMAGE, _csv(_SCORE_COLUMNS, scores))
    write_bytes(folder / RESULT, to_json(result))
    return folder / RESULT


def load_result(path: Path) -> Result:
    """Read a `result.json`, or the one in a folder.

    Raises:
        DataError: D240, the file does not exist or is not a result.
    """
    file = path / RESULT if path.is_dir() else path
    try:
        data = read_document(file)
    except DocumentError as error:
        raise DataError("D240", error.message, "write it with `pixelwise evaluate`") from error
    return from_json(data, printable(file))


def load_per_image(folder: Path) -> tuple[ImageScore, ...]:
    """Read the tables per image of an evaluation folder; empty if there are none.

    Raises:
        DataError: D240, a file was not written by `save_result`.
    """
    path = folder / PER_IMAGE
    iou = _load_per_image_iou(folder)
    if not path.is_file():
        return ()
    try:
        with reading(path):
            return tuple(
                ImageScore(
                    id=text_in(row["id"]),
                    miou=_number(row["miou"]),
                    pixel_accuracy=_number(row["pixel_accuracy"]),
                    labelled_pixels=int(row["labelled_pixels"]),
                    iou=iou.get(text_in(row["id"]), ()),
                )
                for row in csv.DictReader(io.StringIO(read_text(path), newline=""))
            )
    except DocumentError as error:
        raise DataError("D240", f"{printable(path)}: not a table of image scores: {error.reason}", _HELP) from error


def _load_per_image_iou(folder: Path) -> dict[str, tuple[float | None, ...]]:
    """Id of an image -> IoU of each class; empty for results of earlier versions."""
    path = folder / PER_IMAGE_IOU
    if not path.is_file():
        return {}
    try:
        with reading(path):
            rows = list(csv.reader(io.StringIO(read_text(path), newline="")))[1:]
            return {text_in(id): tuple(float(text) if text else None for text in values) for id, *values in rows}
    except DocumentError as error:
        raise DataError("D240", f"{printable(path)}: not a table of image scores: {error.reason}", _HELP) from error


def _with_nan(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(map(cell, row))
    return text.getvalue()


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _null_to_nan(plain: dict[str, Any], keys: Iterable[str]) -> None:
    for key in keys:
        if key in plain and plain[key] is None:
            plain[key] = math.nan


def _nulls_within(plain: dict[str, Any], keys: Iterable[str]) -> None:
    """Turn null into NaN within lists; an infinite bound of an interval is written as null, too."""
    for key in keys:
        if plain.get(key) is not None:
            plain[key] = [math.nan if number is None else number for number in plain[key]]
