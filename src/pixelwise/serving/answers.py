"""Predictions in the forms that clients ask for: PNG, JSON, JPEG, TIFF, arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.reading.georeference import Georeference
from pixelwise.prediction.large.probabilities import write_probabilities
from pixelwise.prediction.mask_formats import grey_png, mask_code
from pixelwise.prediction.outcomes import OVERLAY_PIXELS, class_folders, reduced
from pixelwise.prediction.overlays import jpeg
from pixelwise.prediction.polygons import Polygon
from pixelwise.prediction.prediction import Prediction
from pixelwise.serving.messages import Form, Order

PNG, ZIP, JPEG, TIFF, JSON, BYTES = (
    "image/png", "application/zip", "image/jpeg", "image/tiff", "application/json", "application/octet-stream",
)  # fmt: skip
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of files in archives, so that equal masks make equal archives."""


class Content(NamedTuple):
    """An answer.

    Attributes:
        media: Media type.
        content: Its bytes.
    """

    media: str
    content: bytes


def needs_scores(order: Order) -> bool:
    """Whether the probabilities are asked for."""
    return order.form == "probabilities" or (order.form == "arrays" and order.scores)


def answer(prediction: Prediction, order: Order, place: Georeference | None, scratch: Path) -> Content:
    """A prediction in the form that was asked for.

    Args:
        prediction: The prediction; with scores if `needs_scores`.
        order: What was asked for.
        place: Position of the image on the map, if it has one.
        scratch: Folder for temporary files.
    """
    if order.form == "probabilities" and prediction.scores is not None:
        (file, *others) = write_probabilities(scratch / "answer", prediction.scores, prediction.classes, place, scratch)
        content = file.read_bytes()
        for one in (file, *others):
            one.unlink()
        return Content(TIFF, content)
    return _FORMS[order.form](prediction, order)


def _mask(prediction: Prediction, _: Order) -> Content:
    """The mask, as `pixelwise predict` writes it; of a multi-label network an archive with the mask of each class."""
    if not prediction.multilabel:
        return Content(PNG, mask_code("ids", prediction.classes, prediction.palette).png(prediction.labels))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, plane in zip(class_folders(prediction.classes), prediction.labels, strict=True):
            archive.writestr(zipfile.ZipInfo(f"{name}.png", _EARLIEST), grey_png(plane * np.uint8(255)))
    return Content(ZIP, stream.getvalue())


def _overlay(prediction: Prediction, _: Order) -> Content:
    return Content(JPEG, jpeg(reduced(prediction, OVERLAY_PIXELS).overlay()))


def _arrays(prediction: Prediction, order: Order) -> Content:
    content = np.ascontiguousarray(prediction.labels).tobytes()
    if order.scores and prediction.scores is not None:
        content += np.ascontiguousarray(prediction.scores, "<f4").tobytes()
    return Content(BYTES, content)


def _rle(prediction: Prediction, _: Order) -> Content:
    return _document(prediction, lambda class_id: {"rle": run_lengths(_plane(prediction, class_id))})


def _polygons(prediction: Prediction, order: Order) -> Content:
    found = prediction.polygons(order.tolerance)
    return _document(prediction, lambda class_id: {"polygons": list(map(_plain, found[prediction.classes[class_id]]))})


def _document(prediction: Prediction, details: Callable[[int], dict[str, Any]]) -> Content:
    """What is said of each class that is in the image, as JSON."""
    height, width = prediction.labels.shape[-2:]
    classes = [
        {
            "id": class_id,
            "name": name,
            "color": hex_color(prediction.palette[class_id]),
            "pixels": pixels,
            **details(class_id),
        }
        for class_id, (name, pixels) in enumerate(prediction.areas().items())
        if pixels
    ]
    return Content(JSON, msgspec.json.encode({"width": width, "height": height, "classes": classes}))


def _plane(prediction: Prediction, class_id: int) -> np.ndarray:
    return prediction.labels[class_id] if prediction.multilabel else prediction.labels == class_id


def run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """A mask (H, W) as the uncompressed run lengths of COCO.

    Returns:
        `size` [H, W], and `counts`: how many pixels are outside, then inside, then outside again, and so on, column
        after column.
    """
    height, width = mask.shape
    flat = np.asarray(mask, bool).ravel("F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return {"size": [height, width], "counts": [0, *counts] if flat[0] else counts}


def hex_color(color: tuple[int, int, int]) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _plain(polygon: Polygon) -> dict[str, Any]:
    return {
        "area": polygon.area,
        "outline": polygon.outline.tolist(),
        "holes": [hole.tolist() for hole in polygon.holes],
    }


_FORMS: dict[Form, Callable[[Prediction, Order], Content]] = {
    "mask": _mask,
    "rle": _rle,
    "polygons": _polygons,
    "overlay": _overlay,
    "arrays": _arrays,
}
