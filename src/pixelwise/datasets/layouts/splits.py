"""Splits by name: groups images that belong together and assigns them to splits if the data has none.

The SHA-256 of a group's name decides: the same names give the same splits on every machine, and files added later move
no other file, except where a split would be empty.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from pixelwise.datasets.samples import Sample
from pixelwise.errors import RecipeError

_VALIDATION_SHARE = 0.2
_MIN_SERIES = 10
# The part of a name that numbers the members of a series: frames of a video, tiles of an image, augmented copies.
_SERIES_NUMBER = re.compile(r"(\.rf\.[0-9a-f]+|[\d_\-. ()]+)$")


class Divided(dict[str, tuple[Sample, ...]]):
    """Splits that were assigned by name because the data has none of its own."""


def divided(samples: Sequence[Sample]) -> Divided:
    """Divide samples without splits into `train` and `val`, by `validation_keys` of their ids."""
    chosen = validation_keys(sample.id for sample in samples)
    return Divided(
        train=tuple(sample for sample in samples if sample.id not in chosen),
        val=tuple(sample for sample in samples if sample.id in chosen),
    )


def validation_keys(keys: Iterable[str]) -> set[str]:
    """Choose the images of the validation split: about a fifth, by their names alone.

    Images of one series (`drive3_0001`, `drive3_0002`; tiles; augmented copies) stay together if there are at least ten
    series and none holds more than a fifth of the images; otherwise every image is its own series. A series is chosen
    if the first eight bytes of the SHA-256 of its name, as a fraction, are below 0.2. So adding or removing files never
    moves another file to the other split, except where a split would be empty or a limit on series is crossed.

    Args:
        keys: Names of the images with their folders, without extension.
    """
    keys = sorted(keys)
    if len(keys) < 2:
        return set()
    series = series_of(keys, _VALIDATION_SHARE)
    places = {name: place_of(name) for name in set(series.values())}
    chosen = {name for name, place in places.items() if place < _VALIDATION_SHARE}
    if not chosen:
        chosen = {min(places, key=lambda name: places[name])}
    elif len(chosen) == len(places):
        chosen.remove(max(places, key=lambda name: places[name]))
    return {key for key in keys if series[key] in chosen}


def series_of(keys: Sequence[str], largest_share: float) -> dict[str, str]:
    """Key -> name of its series: the key without the number.

    Every image is its own series if there are fewer than ten series, or if one holds more than `largest_share` (0..1)
    of the images.
    """
    series = {key: _SERIES_NUMBER.sub("", key) or key for key in keys}
    sizes = Counter(series.values())
    if len(sizes) < _MIN_SERIES or max(sizes.values()) > largest_share * len(keys):
        return {key: key for key in keys}
    return series


def place_of(name: str) -> float:
    """Map a name to a number from 0 to 1: the first eight bytes of its SHA-256 as a fraction."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def group_names(ids: Sequence[str], pattern: str | None, smallest_share: float) -> dict[str, str]:
    """Id -> name of its group, the images that must stay together.

    Args:
        ids: Ids of the images.
        pattern: Regular expression that is searched in every id; its first capture group, or else the whole match,
            names the group. An id without a match is its own group. None: see `series_of`.
        smallest_share: Share of the images that no series may exceed, 0..1.

    Raises:
        RecipeError: R203, `pattern` is not a valid regular expression.
    """
    if pattern is not None:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise RecipeError(
                "R203", f"`group` '{pattern}' is not a valid regular expression: {error}", "for example '^[^_]+'"
            ) from error
        matches = {id: compiled.search(id) for id in ids}
        return {id: (match.group(1 if compiled.groups else 0) or id) if match else id for id, match in matches.items()}
    return series_of(ids, smallest_share)
