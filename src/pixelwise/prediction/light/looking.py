"""Class ids and scores of images from an exported network, without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixelwise.metrics.winners import first_of_best
from pixelwise.prediction.light.probabilities import probabilities
from pixelwise.prediction.light.views import Whole, Windows
from pixelwise.prediction.sizes import floor_index
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.interpolation import resized
from pixelwise.runtimes.plain import PlainArtefact

BAND_VALUES = 1 << 20
"""Number of values in a band of rows: 4 MB per temporary."""


def looked_at(
    model: PlainArtefact, seen: Sequence[np.ndarray], size: Size, protocol: Protocol, *, scores: bool = False
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Class ids of images of equal size, and on request their scores.

    Where the interpolated logits of two classes are equal up to rounding, either class may be found, as in
    `pixelwise.prediction.engine.looking`, which does this for networks of PyTorch.

    Args:
        model: The exported network.
        seen: The images as the network sees them, uint8 (h, w, C) of equal size.
        size: (height, width) of the results.
        protocol: Protocol of one view, which fits the network.
        scores: Whether to return scores.

    Returns:
        Of each image, class ids (H, W), uint8 up to 255 classes, or int32 bit fields; and scores float32 (K, H, W).
    """
    logits = model.head_logits(seen, protocol.pad_to) if protocol.one_look else None
    found = []
    for place, image in enumerate(seen):
        view = Windows(model, image, protocol) if logits is None else Whole(logits[place], model.align_corners)
        sides = (image.shape[0], image.shape[1])
        at = size if protocol.argmax_at == "score" else _padded_size(sides, protocol.pad_to)
        own = None if logits is None else logits[place]
        plain = at == size and protocol.argmax_at == "score"
        labels, sure = _decided(model, view, at, scores=scores and (own is None or plain))
        if not plain:
            rows, columns = (floor_index(*lengths) for lengths in zip(sides, size, strict=True))
            labels = labels[rows][:, columns]
            sure = None if sure is None else sure[:, rows][:, :, columns]
        if scores and own is not None and sure is None:
            sure = _scores_of(model, own, sides, size, protocol.pad_to)
        found.append((np.ascontiguousarray(labels), sure))
    return found


def _decided(
    model: PlainArtefact, view: Whole | Windows, at: Size, *, scores: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Class ids or bit fields (H, W) at a size, and probabilities (K, H, W), band by band from top to bottom."""
    classes = model.num_classes
    kind = np.int32 if model.multilabel else np.uint8 if classes <= IGNORE else np.int64
    labels = np.empty(at, kind)
    sure = np.empty((classes, *at), np.float32) if scores else None
    height = max(1, BAND_VALUES // (classes * at[1]))
    for first in range(0, at[0], height):
        last = min(first + height, at[0])
        values = view.rows(first, last, at)
        if model.multilabel:
            present = values > (0.5 if view.are_probabilities else 0.0)
            labels[first:last] = sum(plane.astype(np.int32) << bit for bit, plane in enumerate(present))
        else:
            labels[first:last] = first_of_best(values)
        if sure is not None:
            known = view.are_probabilities
            sure[:, first:last] = values if known else probabilities(values, model.scores, multilabel=model.multilabel)
    return labels, sure


def _scores_of(model: PlainArtefact, logits: np.ndarray, seen: Size, size: Size, pad_to: Size | None) -> np.ndarray:
    """Scores float32 (K, H, W) from the logits (K, h, w) of an image with its padding."""
    if pad_to is not None:
        logits = resized(logits, _padded_size(seen, pad_to), model.align_corners)[:, : seen[0], : seen[1]]
    return probabilities(resized(logits, size, model.align_corners), model.scores, multilabel=model.multilabel)


def _padded_size(size: Size, pad_to: Size | None) -> Size:
    return size if pad_to is None else (max(size[0], pad_to[0]), max(size[1], pad_to[1]))
