"""Splits by name: groups images that belong together and assigns them to splits if the data has none.

The groups are ranked by the SHA-256 of their names and cut at the wanted number of images: the same names give the same
splits on every machine, and a file that is added later moves at most one other group.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pixelwise.datasets.columns import compact
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.datasets.samples import Sample
from pixelwise.storage.series import group_names, series_of

VALIDATION_SHARE = 0.2
"""Share of the images that validation gets where nothing else is asked for."""
FLOOR = 5
"""Smallest number of images to score on, where there are enough: a score of fewer says little."""


class Divided(dict[str, tuple[Sample, ...]]):
    """Splits that were assigned by name because the data has none of its own."""

    @property
    def in_words(self) -> str:
        """`val 6 of 30 by file name`, `val 6, test 6 of 30 by file name`."""
        parts = [f"{name} {len(samples)}" for name, samples in self.items() if name != "train"]
        return f"{', '.join(parts)} of {sum(map(len, self.values()))} by file name"


def divided(samples: Sequence[Sample]) -> Divided:
    """Divide samples without splits into `train` and `val`, by `validation_keys` of their ids."""
    chosen = validation_keys(sample.id for sample in samples)
    return Divided(
        train=compact(sample for sample in samples if sample.id not in chosen),
        val=compact(sample for sample in samples if sample.id in chosen),
    )


def validation_keys(keys: Iterable[str]) -> set[str]:
    """Choose the images of the validation split, by their names alone: see `images_of_share` for their number.

    Images of one series (`drive3_0001`, `drive3_0002`; tiles; augmented copies) stay together if there are at least ten
    series and none holds more than a fifth of the images; otherwise every image is its own series (see `series_of`).
    The first series in the order of their places are chosen (see `place_of`), as many as come closest to the number of
    images. So a file that is added or removed moves at most one other series, unless a limit on series is crossed.

    Args:
        keys: Names of the images with their folders, without extension.
    """
    keys = sorted(keys)
    series = series_of(keys, VALIDATION_SHARE)
    wanted = {"val": images_of_share(len(keys), VALIDATION_SHARE)}
    split_of = cut(Counter(series.values()), wanted)
    return {key for key in keys if split_of[series[key]] == "val"}


def images_of_share(images: int, share: float) -> int:
    """Number of images that a share of a data set means: rounded, but at least five, unless these are over a third.

    A third of the images, and at least one, is then the number; with fewer than two images it is 0.

    Args:
        images: Number of images of the data set.
        share: Share of a split, 0..1.
    """
    if images < 2 or share <= 0:
        return 0
    least = min(FLOOR, max(1, images // 3))
    return min(max(round(share * images), least), images - 1)


def cut(sizes: Mapping[str, int], wanted: Mapping[str, int], seed: int = 0) -> dict[str, str]:
    """Group -> split: the groups in the order of their places, cut where a split comes closest to its number of images.

    No split is left empty as long as there are groups for all.

    Args:
        sizes: Group -> number of its images.
        wanted: Split -> number of images; the rest is `train`.
        seed: Seed of the order; see `place_of`.
    """
    rest = sorted(sizes, key=lambda name: place_of(name, seed))
    split_of: dict[str, str] = {}
    for number, (split, images) in enumerate(wanted.items(), 1):
        taken = 0
        # One group is kept for every later split and for train.
        while images and len(rest) > len(wanted) - number + 1:
            after = taken + sizes[rest[0]]
            if taken and abs(after - images) >= abs(taken - images):
                break
            taken = after
            split_of[rest.pop(0)] = split
    return split_of | dict.fromkeys(rest, "train")


def place_of(name: str, seed: int = 0) -> float:
    """Map a name to a number from 0 to 1: the first eight bytes of its SHA-256 as a fraction.

    Args:
        name: Name of a group of images.
        seed: Any other number than 0 gives another order of the names.
    """
    text = f"{seed}/{name}" if seed else name
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def groups_of(names: Sequence[str], pattern: str | None, smallest_share: float) -> dict[str, str]:
    """Name of each image -> name of its group; see `group_names`.

    The folder of a split is no part of a name here: frames of one video are one group wherever they lie. It only keeps
    images apart that are groups of their own.

    Args:
        names: Ids of images, those in the folder of a split as `train/a`.
        pattern: As for `group_names`.
        smallest_share: As for `group_names`.

    Raises:
        RecipeError: R203, `pattern` is not a valid regular expression.
    """
    bare = {name: without_split(name) for name in names}
    groups = group_names(sorted(set(bare.values())), pattern, smallest_share)
    if pattern is not None:
        alone = {own for own in groups if not re.search(pattern, own)}
    else:
        sizes = Counter(groups.values())
        alone = {own for own, group in groups.items() if group == own and sizes[own] == 1}
    return {name: name if own in alone else groups[own] for name, own in bare.items()}


def without_split(name: str) -> str:
    """A name without the folder of a split that it may begin with."""
    folder, _, rest = name.partition("/")
    return rest if rest and folder in SPLIT_NAMES else name
