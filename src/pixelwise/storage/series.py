"""Series of images, such as the frames of a video, by their names; and groups by what an expression finds in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from pixelwise.errors import RecipeError
from pixelwise.storage.names import counted, printable

_ALIKE = 2
"""Images per series, on average, from which series are worth a word although they are not kept together."""
_NEARLY_ALL = 0.9
"""Share of the images above which one series is simply how the images are named, beside a few others."""
LARGEST_DRAWN = 0.5
"""Share of the images that no series may exceed to be drawn as a whole: from two units nothing can be derived."""
_MIN_SERIES = 10
# The part of a name that numbers the members of a series: frames of a video, tiles of an image, augmented copies. First
# all numbers at the end (`map_3_14`: row and column), then the last one alone (`drive3_0001`: so are drives).
_SERIES_NUMBERS = (re.compile(r"(\.rf\.[0-9a-f]+|[\d_\-. ()]+)$"), re.compile(r"(\.rf\.[0-9a-f]+|[_\-. (]*\d+\)?)$"))

_SHORT_PATTERNS = ("^.+/", "^[^_]+", "^[^-]+", "^[^ ]+", "^[^0-9]+", "^.*(?=_)", "^.*(?=-)")
"""What names a series in most data sets, as a person would write it."""


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
    """Number of series that the keys show, however few and large; 0 without any. A key alone is no series."""
    return sum(number > 1 for number in Counter((_shown(keys) or {}).values()).values())


def _shown(keys: Sequence[str]) -> dict[str, str] | None:
    """Key -> name of its series, if there are several of several keys each, and none is nearly everything."""
    for numbers in _SERIES_NUMBERS:
        series = {key: _without(numbers, key) for key in keys}
        sizes = Counter(series.values())
        several = sum(number > 1 for number in sizes.values()) > 1
        if several and len(sizes) < len(keys) / _ALIKE and max(sizes.values()) <= _NEARLY_ALL * len(keys):
            return series
    return None


def series_pattern(keys: Sequence[str]) -> str:
    """A regular expression for `group_names` whose groups are the series that the keys show: a short one if there is.

    Args:
        keys: Names of images, of which `shown_series` says that they show some.

    Returns:
        The expression; `PATTERN` if none of those that are known finds these series.
    """
    wanted = _parts(_shown(keys) or {})
    exact = (rf"^(.+?){numbers.pattern}" for numbers in _SERIES_NUMBERS)
    return next(
        (pattern for pattern in (*_SHORT_PATTERNS, *exact) if _parts(_matches(keys, pattern)) == wanted), "PATTERN"
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


def joined(divisions: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Id -> name of a group that holds every group of all divisions that any of its images is in.

    Args:
        divisions: Id -> name of its group, each of the same ids.
    """
    found = dict(divisions[0])
    for division in divisions[1:]:
        # Groups that share one of the other division become one: each leads to another, or to itself.
        leads = {name: name for name in found.values()}
        first: dict[str, str] = {}
        for id, group in division.items():
            ends = [_end(leads, found[id]), _end(leads, first.setdefault(group, found[id]))]
            leads[ends[0]] = ends[1]
        found = {id: _end(leads, name) for id, name in found.items()}
    return found


def _end(leads: dict[str, str], name: str) -> str:
    while leads[name] != name:
        leads[name] = leads[leads[name]]  # half the way for whoever comes next
        name = leads[name]
    return name
