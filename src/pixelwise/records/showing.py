"""What is shown of results and logs in Python: one line, a table in a notebook, the columns of a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from pixelwise.errors import RecipeError
from pixelwise.storage.names import counted
from pixelwise.views import html_table, line, percent

if TYPE_CHECKING:
    from pixelwise.records.log import Log
    from pixelwise.records.result import Result

Rows = Literal["class", "image", "confusion"]
_CLASS_COLUMNS = ("iou", "accuracy", "precision", "f1", "boundary_iou", "pixels", "images", "worst_image")
_IMAGE_COLUMNS = ("miou", "pixel_accuracy", "labelled_pixels")
_STEP_COLUMNS = ("step", "epoch", "loss", "lr", "grad_norm")
_EVALUATION_COLUMNS = ("split", "protocol", "miou", "pixel_accuracy")


def result_line(result: Result) -> str:
    """`<Result mIoU 85.24 %, pixel accuracy 96.91 %; val, native; 6 images, 2 classes>`."""
    return line(
        "Result",
        f"mIoU {percent(result.miou)} %, pixel accuracy {percent(result.pixel_accuracy)} %",
        f"{result.split}, {result.protocol}",
        f"{counted(result.images, 'image')}, {len(result.per_class)} class{'' if len(result.per_class) == 1 else 'es'}",
    )


def result_html(result: Result) -> str:
    """The scores of each class as a table, below a line with the means."""
    interval = result.miou_interval
    bounds = f" [{percent(interval[0])}, {percent(interval[1])}]" if interval and not math.isnan(sum(interval)) else ""
    title = (
        f"mIoU {percent(result.miou)} %{bounds}, pixel accuracy {percent(result.pixel_accuracy)} % "
        f"({result.split}, {result.protocol}, {result.images} images)"
    )
    rows = [
        (one.name, percent(one.iou), percent(one.accuracy), percent(one.precision), f"{one.pixels:,}", str(one.images))
        for one in result.per_class
    ]
    return html_table(("class", "IoU %", "accuracy %", "precision %", "pixels", "images"), rows, title=title)


def drawn_units(result: Result) -> str:
    """What the interval of the mean IoU was drawn from: `images`, or `36 series of images`."""
    return units_in_words(result.drawn, result.images)


def units_in_words(drawn: int | None, images: int) -> str:
    """What was drawn: `images`, or `36 series of images`.

    Args:
        drawn: How many; None if it is not known.
        images: Number of images.
    """
    return "images" if drawn in (None, images) else f"{drawn} series of images"


def result_columns(result: Result, rows: Rows) -> tuple[dict[str, Sequence[Any]], str]:
    """The columns of a frame of a result, and the name of the one that names its rows.

    Args:
        result: The result.
        rows: What has a row: a class, an image, or a labelled class with its predictions.

    Raises:
        RecipeError: R260, there are no such rows.
    """
    names = [entry.name for entry in result.per_class]
    if rows == "class":
        columns = {name: [getattr(entry, name) for entry in result.per_class] for name in _CLASS_COLUMNS}
        further = {name: found.per_class for name, found in result.metrics.items() if found.per_class}
        return {"class": names, **columns, **{name: list(values) for name, values in further.items()}}, "class"
    if rows == "image":
        images = result.per_image
        columns = {name: [getattr(image, name) for image in images] for name in _IMAGE_COLUMNS}
        iou = {
            f"iou {name}": [_number(image.iou[class_id]) if image.iou else math.nan for image in images]
            for class_id, name in enumerate(names)
        }
        return {"id": [image.id for image in images], **columns, **iou}, "id"
    if rows == "confusion":
        matrix = result.confusion_matrix
        predicted = {name: [row[class_id] for row in matrix] for class_id, name in enumerate(names) if matrix}
        return {"labelled": names if matrix else [], **predicted}, "labelled"
    raise RecipeError("R260", f"`rows` is {rows!r}; expected one of {', '.join(get_args(Rows))}", "change `rows`")


def log_line(log: Log) -> str:
    """`<Log 113 steps; 10 evaluations, best mIoU 85.24 %>`."""
    from pixelwise.records.log import EvaluationRecord  # which imports this module

    last = max((record.step for record in log.records), default=0)
    scores = [record.miou for record in log.of(EvaluationRecord)]
    defined = [miou for miou in scores if miou is not None]
    best = f"{counted(len(scores), 'evaluation')}, best mIoU {percent(max(defined))} %" if defined else ""
    return line("Log", counted(last, "step"), best)


def log_columns(log: Log) -> dict[str, list[Any]]:
    """The columns of a frame of a log: steps, and the evaluations that followed them."""
    from pixelwise.records.log import EvaluationRecord, StepRecord  # which imports this module

    rows: list[dict[str, Any]] = []
    for record in log.records:
        if isinstance(record, StepRecord):
            rows.append({name: getattr(record, name) for name in _STEP_COLUMNS})
        elif isinstance(record, EvaluationRecord):
            if not rows or rows[-1]["step"] != record.step or "miou" in rows[-1]:
                rows.append({"step": record.step})
            rows[-1] |= {name: getattr(record, name) for name in _EVALUATION_COLUMNS}
            rows[-1] |= {f"iou {_name(log, i)}": iou for i, iou in enumerate(record.per_class_iou)}
    found = dict.fromkeys([*_STEP_COLUMNS, *_EVALUATION_COLUMNS, *(name for row in rows for name in row)])
    return {name: [_cell(name, row.get(name)) for row in rows] for name in found}


def _name(log: Log, class_id: int) -> str:
    return log.classes[class_id] if class_id < len(log.classes) else str(class_id)


def _cell(column: str, value: Any) -> Any:
    """NaN instead of None in columns of numbers, so that they are numbers in a frame, too."""
    return math.nan if value is None and column not in ("split", "protocol") else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
