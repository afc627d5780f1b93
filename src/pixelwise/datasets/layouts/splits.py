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
from pixelwise.errors import RecipeError
from pixelwise.storage import printable
from pixelwise.storage.names import counted

_ALIKE = 2
"""Images per series, on average, from which series are worth a word although they are not kept together."""
VALIDATION_SHARE = 0.2
"""Share of the images that validation gets where nothing else is asked for."""
FLOOR = 5
"""Smallest number of images to score on, where there are enough: a score of fewer says little."""
LARGEST_DRAWN = 0.5
"""Share of the images that no series may exceed to be drawn as a whole: from two units nothing can be derived."""
_MIN_SERIES = 10
# The part of a name that numbers the members of a series: frames of a video, tiles of an image, augmented copies. First
# all numbers at the end (`map_3_14`: row and column), then the last one alone (`drive3_0001`: so are drives).
_SERIES_NUMBERS = (re.compile(r"(\.rf\.[0-9a-f]+|[\d_\-. ()]+)$"), re.compile(r"(\.rf\.[0-9a-f]+|[_\-. (]*\d+\)?)$"))

_SHORT_PATTERNS = ("^.+/", "^[^_]+", "^[^-]+", "^[^ ]+", "^[^0-9]+", "^.*(?=_)", "^.*(?=-)")
"""What names a series in most data sets, as a person would write it."""


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


def series_of(keys: Sequence[str], largest_share: float, least: int = _MIN_SERIES) -> dict[str, str]:
    """Key -> name of its series: the key without the numbers at its end.

    `map_3_14` is of the series `map`. Where that leaves fewer than `least` series, or one with more than
    `largest_share` (0..1) of the images, because series are numbered themselves (`drive3_0001`, `drive11_0001`), they
    are the keys without their last number: `drive3`. If these are no better, every image is its own series.
    """
    for numbers in _SERIES_NUMBERS:
        series = {key: _without(numbers, key) for key in keys}
        sizes = Counter(series.values())
        if len(sizes) >= least and max(sizes.values()) <= largest_share * len(keys):
            return series
    return {key: key for key in keys}


def shown_series(keys: Sequence[str]) -> int:
    """Number of series of several keys each, on average, that the keys show, however few and large; 0 without any."""
    number = len(set(series_of(keys, 1.0, least=2).values()))
    return number if 1 < number < len(keys) / _ALIKE else 0


def series_pattern(keys: Sequence[str]) -> str:
    """A regular expression for `group_names` whose groups are the series that the keys show: a short one if there is.

    Args:
        keys: Names of images, of which `shown_series` says that they show some.
    """
    wanted = _parts(series_of(keys, 1.0, least=2))
    exact = (rf"^(.+?){numbers.pattern}" for numbers in _SERIES_NUMBERS)
    return next(
        (pattern for pattern in (*_SHORT_PATTERNS, *exact) if _parts(_matches(keys, pattern)) == wanted), "^[^_]+"
    )


def _matches(keys: Sequence[str], pattern: str) -> dict[str, str]:
    try:
        return group_names(keys, pattern, 1.0)
    except RecipeError:  # it matches no key
        return {}


def _parts(groups: Mapping[str, str]) -> set[frozenset[str]]:
    """Which keys belong together, whatever the groups are called."""
    parts: dict[str, set[str]] = {}
    for key, group in groups.items():
        parts.setdefault(group, set()).add(key)
    return {frozenset(part) for part in parts.values()}


def _without(numbers: re.Pattern[str], key: str) -> str:
    """A key without its number; of a key of numbers alone (`0003_0001`), the first ones name the series."""
    return numbers.sub("", key) or _SERIES_NUMBERS[-1].sub("", key) or key


def place_of(name: str, seed: int = 0) -> float:
    """Map a name to a number from 0 to 1: the first eight bytes of its SHA-256 as a fraction.

    Args:
        name: Name of a group of images.
        seed: Any other number than 0 gives another order of the names.
    """
    text = f"{seed}/{name}" if seed else name
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def group_names(ids: Sequence[str], pattern: str | None, smallest_share: float) -> dict[str, str]:
    """Id -> name of its group, the images that must stay together.

    Args:
        ids: Ids of the images.
        pattern: Regular expression that is searched in every id; its first capture group, or else the whole match,
            names the group. An id without a match is its own group. None: see `series_of`.
        smallest_share: Share of the images that no series may exceed, 0..1.

    Raises:
        RecipeError: R203, `pattern` is not a valid regular expression, or is found in no id.
    """
    if pattern is not None:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise RecipeError(
                "R203", f"`group` '{pattern}' is not a valid regular expression: {error}", "for example '^[^_]+'"
            ) from error
        matches = {id: compiled.search(id) for id in ids}
        if ids and not any(matches.values()):
            raise RecipeError(
                "R203",
                f"`group` '{pattern}' is found in none of the {counted(len(ids), 'image name')}, such as "
                f"'{printable(ids[0])}', so that every image would be a group of its own",
                "correct it, for example '^[^_]+', or leave it out if no images belong together",
            )
        return {id: (match.group(1 if compiled.groups else 0) or id) if match else id for id, match in matches.items()}
    return series_of(ids, smallest_share)


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
