"""What a tally has counted, in a form that a receipt holds, and that another tally takes in.

Of each image these are the cells of its confusion matrix, whole numbers from which all scores follow, also those of the
image itself. Only metrics that need more than counts have a state of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from pixelwise.errors import RecipeError
from pixelwise.evaluation.details import counts_in
from pixelwise.evaluation.tally import Cell, Tally
from pixelwise.metrics import METRICS, Accumulator, ScoredImage
from pixelwise.metrics.states import UnknownKindError, packed, unpacked
from pixelwise.records.details import ImageDetails


class ImageCounts(msgspec.Struct, frozen=True, array_like=True):
    """The counts of an image.

    Attributes:
        index: Position of the image in the split.
        id: Its id.
        cells: Cells of its counts that are not zero: label, prediction and pixels; for multi-label data class, 0 to 3
            for true positives, false positives, false negatives and true negatives, and pixels.
        details: What a report shows of it besides; None if it shows nothing.
    """

    index: int
    id: str
    cells: tuple[Cell, ...]
    details: ImageDetails | None = None


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a tally has counted under one protocol.

    Attributes:
        images: The images, in the order of the split.
        metrics: Name of a metric that needs more than counts -> its state; see `pixelwise.metrics.states`. The state is
            empty if it could not be measured.
        groups: Name of a group -> the same for its images.
    """

    images: tuple[ImageCounts, ...]
    metrics: dict[str, bytes] = {}
    groups: dict[str, dict[str, bytes]] = {}


def counted(tally: Tally) -> Counted:
    """What a tally that keeps cells has counted.

    Raises:
        RecipeError: R226, a metric keeps something that a receipt cannot hold.
    """
    cells, details = tally.cells or {}, tally.details or {}
    return Counted(
        images=tuple(
            ImageCounts(index, tally.scores[index].id, cells[index], _without_counts(details.get(index)))
            for index in sorted(cells)
        ),
        # What was not measured, because some image was scored in parts, has no state.
        metrics=_packed(tally, tally.accumulators) | dict.fromkeys(sorted(tally.forgotten), b""),
        groups={name: _packed(tally, group.accumulators) for name, group in sorted(tally.groups.items())},
    )


def take_in(tally: Tally, found: Counted, each: Callable[[ScoredImage], None] | None = None) -> None:
    """Add to a tally what another one of the same split and settings has counted.

    Args:
        tally: The tally.
        found: What the other one has counted.
        each: Called with every image, after it was added; nothing but its counts is known.

    Raises:
        ValueError, TypeError, KeyError, IndexError: It is not of such a tally.
    """
    for one in found.images:
        counts = np.zeros_like(tally.total)
        if one.cells:
            rows, columns, values = zip(*one.cells, strict=True)
            counts[list(rows), list(columns)] = values
        image = ScoredImage.of_counts(one.id, counts, tally.task, one.index)
        details = None if one.details is None else msgspec.structs.replace(one.details, **counts_in(image))
        tally.add_image(image, details, counts_only=True)
        if each is not None:
            each(image)
    _take_in_metrics(tally, tally.accumulators, found.metrics)
    for name, metrics in found.groups.items():
        _take_in_metrics(tally, tally.group(name).accumulators, metrics)


def _without_counts(details: ImageDetails | None) -> ImageDetails | None:
    return None if details is None else msgspec.structs.replace(details, confusion=(), binary=())


def _packed(tally: Tally, accumulators: Mapping[str, Accumulator]) -> dict[str, bytes]:
    states = {}
    for name, accumulator in accumulators.items():
        if tally.metrics[name].needs == "counts":
            continue
        try:
            states[name] = packed(accumulator)
        except UnknownKindError as error:
            raise RecipeError(
                "R226",
                f"metric '{name}' of {METRICS.module_of(name)} cannot be measured by units: {error}, which a receipt "
                "does not hold",
                "score without `shard`, `engine` and `output`, or let its accumulator keep numbers, texts, arrays and "
                "lists and dictionaries of them",
            ) from error
    return states


def _take_in_metrics(tally: Tally, accumulators: Mapping[str, Accumulator], states: Mapping[str, bytes]) -> None:
    for name, state in states.items():
        if not state:
            tally.forget([name])
        elif name not in tally.forgotten:
            accumulators[name].merge(unpacked(state, tally.metrics[name].accumulator(tally.task)))
