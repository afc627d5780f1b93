"""Findings about the values of all masks together: what they were before something changed them, and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixelwise.datasets.auditing.examination import Examination, mask_name, relative_name
from pixelwise.datasets.classes.resampling import (
    Disturbed,
    Ramps,
    disturbed_colors,
    disturbed_finding,
    disturbed_ids,
    remedy,
    with_ramps,
)
from pixelwise.datasets.explanations import are_smoothed, describe_counts, describe_ids, label_map_override
from pixelwise.datasets.findings import NAMED_FILES, Finding, finding
from pixelwise.datasets.labels import add_counts
from pixelwise.datasets.samples import Dataset
from pixelwise.recipes.class_sets.tables import IGNORE

# A message names at most this many classes.
_NAMED = 8
# A photo has more shades than a mask has colours, and no large even areas.
_MOST_SHADES = 64
_FEWEST_COLORS = 256
_SWAPPED = 0.8
# Three values may be an object, its uncertain border and the background.
_TRIMAP = 3


class Swapped:
    """Pairs whose image is a mask and whose mask is a photo, counted one after the other."""

    def __init__(self) -> None:
        self._pairs = self._cases = 0
        self._first: list[Examination] = []

    def add(self, examination: Examination) -> None:
        """Look at one pair."""
        self._pairs += 1
        if examination.image is not None and examination.shades <= _MOST_SHADES and _is_photo(examination):
            self._cases += 1
            if len(self._first) < NAMED_FILES:
                self._first.append(examination)

    def findings(self, dataset: Dataset) -> list[Finding]:
        """D262 if there are any."""
        if not self._cases:
            return []
        first = self._first[0]
        files = [
            name
            for e in self._first
            for name in (relative_name(e.sample.image_path, dataset.root), mask_name(e, dataset))
        ]
        whole = self._cases >= _SWAPPED * self._pairs
        what = "images and masks are swapped" if whole else f"image and mask are swapped in {self._cases} pairs"
        fix = "exchange the names of the two folders" if whole else "exchange each image with its mask"
        message = (
            f"{what}: e.g. {files[0]} has {first.shades} colours, as a mask has, and {files[1]} has "
            f"{first.areas.values}, as a photo has"
        )
        return [finding("D262", message, files, fix, total=2 * self._cases)]


def _is_photo(examination: Examination) -> bool:
    areas = examination.areas
    even = 2 * sum(areas.inner.values()) > sum(areas.pixels.values())
    return areas.values > (_FEWEST_COLORS if areas.colored else _MOST_SHADES) and (areas.noisy or not even)


class Disturbances:
    """Whether `disturbed` may find anything, of masks that are seen one after the other.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._looked_for = _are_whole_values(dataset)
        self._lossy = self._unknown_colors = False
        self._ramps = Ramps()

    def add(self, mask: Examination) -> None:
        """Look at one mask."""
        self._lossy |= mask.lossy
        if mask.areas.pixels and not mask.lossy:
            self._unknown_colors |= bool(mask.unknown_colors)
            self._ramps.add(mask.areas)

    def may_be_disturbed(self) -> bool:
        """Whether the masks have to be looked at together; if not, `disturbed` finds nothing in them."""
        return self._looked_for and (self._lossy or self._unknown_colors or self._ramps.any())


def _are_whole_values(dataset: Dataset) -> bool:
    """Whether values mean what they are: without several labels per pixel, a threshold or a tolerance."""
    table = dataset.label_table
    return not dataset.multilabel and table.threshold is None and table.tolerance is None


def disturbed(dataset: Dataset, examinations: Sequence[Examination]) -> list[Finding]:
    """D260 for masks that were resized with interpolation or disturbed, D203 for those in a lossy format; W264."""
    table = dataset.label_table
    if not _are_whole_values(dataset):
        return []
    findings = []
    lossless = [e for e in examinations if e.areas.pixels and not e.lossy]
    found = disturbed_ids([e.areas for e in lossless])
    ids = add_counts(e.raw_ids for e in lossless)
    if found is not None and not (are_smoothed(ids) and not table.ids):
        findings.append(disturbed_finding(found, _masks(found, lossless, dataset), table))
    colors = disturbed_colors([e.areas for e in lossless if e.unknown_colors])
    if colors is not None:
        unknown = [e for e in lossless if e.unknown_colors]
        files = _masks(colors, unknown, dataset)
        findings.append(disturbed_finding(colors, files, table if table.colors else None, colored=True))
    if found is None:
        findings += _ramps(dataset, [lossless[i] for i in with_ramps([e.areas for e in lossless])])
    return [*findings, *_lossy(dataset, [e for e in examinations if e.lossy])]


def _masks(found: Disturbed, examinations: Sequence[Examination], dataset: Dataset) -> list[str]:
    return [mask_name(examinations[i], dataset) for i in found.masks]


def _ramps(dataset: Dataset, cases: Sequence[Examination]) -> list[Finding]:
    """Ids without gaps whose borders run through the ids in between: nothing tells these from real classes."""
    ids = add_counts(e.areas.between for e in cases)
    values = set().union(*(e.raw_ids for e in cases)) - {IGNORE}
    if not ids or len(values) < _TRIMAP:
        return []
    files = [mask_name(e, dataset) for e in cases]
    between = dict(sorted(ids.items(), key=lambda item: -item[1])[:_NAMED])
    if len(values) > _TRIMAP:
        return [
            finding(
                "D260",
                f"borders between classes run through the ids in between (e.g. {files[0]}; pixels between a smaller "
                f"and a larger id: {describe_counts(between)}): the masks were resized with interpolation, and these "
                "pixels have wrong classes",
                files,
                "resize the original masks with nearest neighbour: in these, wrong ids cannot be told from right ones; "
                "if the borders are meant so, accept them: 'data.allow=[\"D260\"]'",
            )
        ]
    middle = sorted(values)[1]
    mapping = {raw: raw for raw in sorted(values)} | {IGNORE: IGNORE}
    mapping[middle] = IGNORE
    return [
        finding(
            "W264",
            f"id {middle} lies along the borders between {describe_ids(values - {middle})}: it is a class of borders, "
            "or the masks were resized with interpolation and these pixels have wrong classes",
            files,
            f"if it is no class, resize the original masks with nearest neighbour, or ignore it: "
            f"{label_map_override(mapping)}",
        )
    ]


def _lossy(dataset: Dataset, cases: Sequence[Examination]) -> list[Finding]:
    """D203 with the real values of masks in a lossy format; empty if these cannot be told."""
    colored = [e for e in cases if e.areas.colored]
    others = [e for e in cases if not e.areas.colored]
    table = dataset.label_table
    findings = []
    for members, by_color in ((others, False), (colored, True)):
        areas = [e.areas for e in members]
        found = disturbed_colors(areas) if by_color else disturbed_ids(areas, lossy=True)
        if found is None or (not by_color and are_smoothed(add_counts(e.raw_ids for e in members))):
            continue
        known = bool(table.colors) if by_color else bool(table.ids)
        single = disturbed_finding(found, [], colored=by_color).message.partition(":")[0]
        files = [mask_name(e, dataset) for e in members]
        stored = f"{len(members)} masks are" if len(members) > 1 else f"{files[0]} is"
        text = f"{stored} stored as {members[0].encoding}, whose compression changes values at every edge: {single}"
        findings.append(finding("D203", text, files, remedy(found, table if known else None, colored=by_color)))
    return findings


def nothing_to_learn(dataset: Dataset, pixels: Mapping[str, Sequence[int]]) -> list[Finding]:
    """D263 if at most one class has pixels, in the whole data set or in the training split.

    Args:
        dataset: The data set, all of whose labelled pairs can be used.
        pixels: Split that has pairs -> number of labelled pixels of each class.
    """
    present = {
        split: [name for name, count in zip(dataset.classes, counts, strict=True) if count]
        for split, counts in pixels.items()
    }
    everywhere = {name for names in present.values() for name in names}
    fewest = 1 if dataset.multilabel else 2
    fix = "check the masks and data.label_map; to go on all the same: 'data.allow=[\"D263\"]'"
    if not present:
        return []
    if len(everywhere) < fewest:
        text = "no class is present: all pixels are ignored"
        if everywhere:
            name = next(iter(everywhere))
            text = f"the masks hold only '{name}', in every labelled pixel: predicting it everywhere scores 100 % mIoU"
        elif dataset.multilabel:
            text = "no class is present: all masks are empty"
        return [finding("D263", text, [], fix)]
    train = next((split for split in present if "train" in split), None)
    if train is None or len(present[train]) >= fewest:
        return []
    found = f"only class '{present[train][0]}' is present" if present[train] else "no class is present"
    rest = ", ".join(sorted(everywhere - set(present[train]))[:_NAMED])
    return [finding("D263", f"{train}: {found}, so {rest} cannot be learnt", [], fix)]
