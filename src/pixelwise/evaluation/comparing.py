"""Two runs held against each other: scores, classes, the same images, and what was different about the training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pixelwise.evaluation.comparison.comparing import pair_of
from pixelwise.evaluation.comparison.comparison import Pair, digits_of, signed
from pixelwise.metrics.bootstrap import resampled_sums, summed
from pixelwise.recipes.overrides import flat_fields
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.result import Result
from pixelwise.records.scores import ImageScore
from pixelwise.storage.series import LARGEST_DRAWN, series_of
from pixelwise.views import NOT_AVAILABLE, html_line, html_table, line, percent

REDRAWN = 2000
"""Number of bootstrap samples of the images."""
_NO_FIELDS = ("name", "summary", "notes", "published")
"""Fields of a recipe that describe it and change nothing."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the recipes that differs.

    Attributes:
        field: Path of the field, such as `optimizer.lr`.
        ours: Its value in the first run; None if it is not set.
        theirs: Its value in the second run.
    """

    field: str
    ours: Any
    theirs: Any


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A run compared with another; positive differences mean that the first is better.

    Attributes:
        names: Names of the two runs.
        results: Their results.
        miou: Difference of the mean IoU, as a fraction; NaN if it is undefined in one of them.
        per_class: Difference of the IoU of each class that has one in both.
        images: Difference of the mean IoU of each image that both have scored, the largest loss first.
        image_miou: Mean of these differences; NaN without any.
        image_interval: 95 % bootstrap interval of that mean: the same images are drawn for both runs, those of a series
            together. None for fewer than two images.
        recipe: Fields of the recipes that differ.
        remarks: What has to be known to compare the scores, as sentences.
        pair: The difference of the mean IoU and of each class with its interval, as `pixelwise.compare` has it; None if
            the results cannot be compared so. Its differences are those of the first run from the second.
    """

    names: tuple[str, str]
    results: tuple[Result, Result]
    miou: float
    per_class: dict[str, float]
    images: dict[str, float]
    image_miou: float
    image_interval: tuple[float, float] | None
    recipe: tuple[Difference, ...]
    remarks: tuple[str, ...]
    pair: Pair | None = None

    @property
    def better(self) -> int:
        """Number of images that the first run segments better."""
        return sum(difference > 0 for difference in self.images.values())

    @property
    def worse(self) -> int:
        """Number of images that the first run segments worse."""
        return sum(difference < 0 for difference in self.images.values())

    @property
    def verdict(self) -> str:
        """`mIoU +1.84 [0.9, 2.8]: better in 20 of 24 images, worse in 3; per image +1.80 [0.92, 2.63]`, in percent."""
        images = ""
        if self.images:
            images = f": better in {self.better} of {len(self.images)} images, worse in {self.worse}"
        interval = ""
        if self.image_interval is not None:
            digits = digits_of(self.image_interval)
            low, high = (percent(end, digits) for end in self.image_interval)
            interval = f"; per image {_signed(self.image_miou, digits)} [{low}, {high}]"
        miou = _signed(self.miou) if self.pair is None else signed(self.pair.miou)
        return f"mIoU {miou}{images}{interval}"

    def __repr__(self) -> str:
        return line("RunComparison", self._title)

    @property
    def _title(self) -> str:
        return f"{self.names[0]} against {self.names[1]}: {self.verdict}"

    def _repr_html_(self) -> str:
        ours, theirs = ({entry.name: entry.iou for entry in result.per_class} for result in self.results)
        classes = [
            (name, percent(ours[name]), percent(theirs[name]), _signed(change))
            for name, change in self.per_class.items()
        ]
        fields = [(one.field, str(one.ours), str(one.theirs)) for one in self.recipe]
        return "".join(
            [
                html_table(
                    ("class", *(f"IoU % {name}" for name in self.names), "difference"), classes, title=self._title
                ),
                html_table(("recipe", *self.names), fields, prose=True) if fields else "",
                "".join(map(html_line, self.remarks)) if self.remarks else "",
            ]
        )


def compare(
    names: tuple[str, str],
    results: tuple[Result, Result],
    recipes: tuple[Recipe, Recipe],
    folders: tuple[Path, Path] | None = None,
) -> RunComparison:
    """Compare two results with the scores of their images, and the recipes that led to them.

    Args:
        names: Names of the two runs.
        results: Their results.
        recipes: Their recipes.
        folders: The folders of the two evaluations, whose counts of single images give `pair`; None to do without.
    """
    ours, theirs = results
    iou = {entry.name: entry.iou for entry in theirs.per_class}
    per_class = {entry.name: entry.iou - iou[entry.name] for entry in ours.per_class if entry.name in iou}
    images = paired(ours.per_image, theirs.per_image)
    changes = list(images.values())
    return RunComparison(
        names=names,
        results=results,
        miou=ours.miou - theirs.miou,
        per_class={name: change for name, change in per_class.items() if not math.isnan(change)},
        images=images,
        image_miou=math.fsum(changes) / len(changes) if changes else math.nan,
        image_interval=_interval(images),
        recipe=_differences(*recipes),
        remarks=tuple(_remarks(ours, theirs, len(images))),
        pair=None if folders is None else pair_of((names[1], names[0]), (theirs, ours), (folders[1], folders[0])),
    )


def paired(ours: Sequence[ImageScore], theirs: Sequence[ImageScore]) -> dict[str, float]:
    """Difference of the mean IoU of each image that has one in both, by its id, the largest loss first."""
    other = {score.id: score.miou for score in theirs}
    found = {score.id: score.miou - other[score.id] for score in ours if score.id in other}
    changes = [(id, change) for id, change in found.items() if not math.isnan(change)]
    return dict(sorted(changes, key=lambda entry: (entry[1], entry[0])))


def _interval(changes: Mapping[str, float]) -> tuple[float, float] | None:
    """The interval of the mean of the changes of images, by their ids."""
    if len(changes) < 2:
        return None
    series = series_of(list(changes), LARGEST_DRAWN)
    rows = np.array([(change, 1.0) for change in changes.values()])
    sums = resampled_sums(summed(rows, [series[id] for id in changes]), resamples=REDRAWN)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], (0.025, 0.975)).tolist()
    return low, high


def _differences(ours: Recipe, theirs: Recipe) -> tuple[Difference, ...]:
    mine, other = flat_fields(ours), flat_fields(theirs)
    return tuple(
        Difference(field=field, ours=mine.get(field), theirs=other.get(field))
        for field in dict.fromkeys([*mine, *other])
        if field.partition(".")[0] not in _NO_FIELDS and mine.get(field) != other.get(field)
    )


def _remarks(ours: Result, theirs: Result, paired: int) -> list[str]:
    """What keeps the two results from being scores of the same question."""
    found = [
        f"The {what} differs: {mine} and {other}."
        for what, mine, other in (
            ("split", ours.split, theirs.split),
            ("protocol", ours.protocol, theirs.protocol),
            ("number of images", ours.images, theirs.images),
            ("options", *(f"`{one.variant}`" if one.variant else "none" for one in (ours, theirs))),
        )
        if mine != other
    ]
    if ours.data_fingerprint != theirs.data_fingerprint:
        found.append("The images or masks that were scored are not the same.")
    names = [{entry.name for entry in result.per_class} for result in (ours, theirs)]
    if names[0] != names[1]:
        found.append(f"Classes of only one of them: {', '.join(sorted(names[0] ^ names[1]))}.")
    if not paired:
        found.append("No image was scored in both, so nothing is said about single images.")
    return found


def _signed(fraction: float, digits: int = 2) -> str:
    return NOT_AVAILABLE if math.isnan(fraction) else f"{100 * fraction:+.{digits}f}"
