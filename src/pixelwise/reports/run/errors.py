"""Where the errors of an evaluation are: at borders or inside, in small or large regions, missed or invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pixelwise.evaluation.details import BORDER
from pixelwise.records.details import ImageDetails
from pixelwise.records.result import Result
from pixelwise.reports.numbers import NOT_AVAILABLE, count, many, share

SIZE_TITLES: dict[str, str] = {"small": "below 32 x 32 px", "medium": "below 96 x 96 px", "large": "larger"}
_KINDS = ("labelled", "found", "invented")


class RegionCell(NamedTuple):
    """Regions of one class and size; all fields are text.

    Attributes:
        found: Number of labelled regions that were found, and of all, such as `44 of 47`; empty if there is none.
        share: Share of them that were found, in percent.
        invented: Number of predicted regions that are labelled otherwise; empty if there is none.
    """

    found: str
    share: str
    invented: str


class RegionRow(NamedTuple):
    """A class in the table of regions, with a cell for each size."""

    name: str
    cells: list[RegionCell]


class ErrorPlaces(NamedTuple):
    """Where errors are.

    Attributes:
        sentences: What can be said in sentences.
        sizes: Titles of the sizes of regions that occur.
        rows: Regions of the classes, in the order of class ids.
    """

    sentences: list[str]
    sizes: list[str]
    rows: list[RegionRow]


def foreground_of(result: Result) -> int | None:
    """Of two classes that exclude each other, the id of the one in question; None for any other data.

    It is the one that is not called background; without such a name, the one with fewer labelled pixels.
    """
    if result.multilabel or len(result.per_class) != 2:
        return None
    for class_id, entry in enumerate(result.per_class):
        if entry.name.lower() == "background":
            return 1 - class_id
    first, second = (entry.pixels for entry in result.per_class)
    return 0 if first < second else 1


def places_of_errors(result: Result, details: Sequence[ImageDetails]) -> ErrorPlaces | None:
    """Where the errors of an evaluation are; None without details, or for multi-label data.

    Args:
        result: The evaluation.
        details: Counts of each of its images; empty for results of earlier versions.
    """
    if not details or result.multilabel:
        return None
    foreground = foreground_of(result)
    sentences = _at_borders(result, details)
    if foreground is not None:
        sentences += _of_two(result, foreground)
    return ErrorPlaces(sentences, *_regions(result, details, foreground))


def _at_borders(result: Result, details: Sequence[ImageDetails]) -> list[str]:
    wrong, near_wrong = sum(one.wrong for one in details), sum(one.near_wrong for one in details)
    near, labelled = sum(one.near for one in details), result.labelled_pixels
    if not wrong or not labelled:
        return ["No pixel is wrong."] if labelled else []
    return [
        f"{share(near_wrong / wrong)} % of the wrong pixels are within {BORDER} px of a border between two classes, "
        f"where {share(near / labelled)} % of all labelled pixels are: these are edges in the wrong place. The other "
        f"{count(wrong - near_wrong)} wrong pixels are inside regions."
    ]


def _of_two(result: Result, foreground: int) -> list[str]:
    name = result.per_class[foreground].name
    matrix, other = result.confusion_matrix, 1 - foreground
    labelled, missed, invented = sum(matrix[foreground]), matrix[foreground][other], matrix[other][foreground]
    predicted = matrix[foreground][foreground] + invented
    found = []
    if labelled:
        found.append(f"Missed: {share(missed / labelled)} % of the pixels labelled {name} ({count(missed)} px).")
    if predicted:
        found.append(
            f"False alarm: {share(invented / predicted)} % of the pixels predicted as {name} ({count(invented)} px)."
        )
    return found


def _regions(
    result: Result, details: Sequence[ImageDetails], foreground: int | None
) -> tuple[list[str], list[RegionRow]]:
    """Titles of the sizes that occur, and the rows of the classes that do."""
    counts: Counter[tuple[int, str, str]] = Counter()
    shown = list(range(len(result.per_class))) if foreground is None else [foreground]
    for one in details:
        for region in one.regions:
            for kind in _KINDS:
                counts[region.class_id, region.size, kind] += getattr(region, kind)
    sizes = [size for size in SIZE_TITLES if any(counts[class_id, size, kind] for class_id in shown for kind in _KINDS)]
    rows = [
        RegionRow(
            result.per_class[class_id].name,
            [_region_cell(*(counts[class_id, size, kind] for kind in _KINDS)) for size in sizes],
        )
        for class_id in shown
        if any(counts[class_id, size, kind] for size in sizes for kind in _KINDS)
    ]
    return [SIZE_TITLES[size] for size in sizes], rows


def _region_cell(labelled: int, found: int, invented: int) -> RegionCell:
    return RegionCell(
        found=f"{count(found)} of {count(labelled)}" if labelled else "",
        share=f"{100 * found / labelled:.0f}" if labelled else NOT_AVAILABLE,
        invented=count(invented) if invented else "",
    )


def regions_in_words(result: Result, details: Sequence[ImageDetails]) -> str:
    """How many whole regions of the class in question were found and invented; empty where there is no such class."""
    foreground = foreground_of(result)
    if foreground is None or not details:
        return ""
    regions = [region for one in details for region in one.regions if region.class_id == foreground]
    labelled, found, invented = (sum(getattr(one, kind) for one in regions) for kind in _KINDS)
    name = result.per_class[foreground].name
    return (
        f"Of {many(labelled, 'connected region')} labelled {name}, {count(found)} were found (at least half of the "
        f"pixels); {many(invented, 'predicted region')} {'is' if invented == 1 else 'are'} mostly labelled otherwise. "
        "Regions that touch count as one."
    )
