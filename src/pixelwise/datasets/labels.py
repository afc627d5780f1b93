"""Maps decoded masks to class ids.

A `LabelTable` gives the meaning of every raw value of a mask file. A value that it does not name is never mapped
silently: `map_ids` and `map_colors` return the unknown values with their pixel counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

import cv2
import msgspec
import numpy as np

from pixelwise.recipes.class_sets.tables import IGNORE, Color

SMALLEST_ID, LARGEST_ID = -(2**63), 2**64 - 1
"""Range of the integers that a mask can hold, of any signedness."""
_WHITE = (1, 255, 65535)
_HEX_COLOR = re.compile(r"#?([0-9a-fA-F]{6})")


def parse_color(text: str) -> Color:
    """`#rrggbb` -> (red, green, blue).

    Raises:
        ValueError: The text is not a colour of this form.
    """
    match = _HEX_COLOR.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a colour; expected #rrggbb, for example #804080")
    code = int(match.group(1), 16)
    return code >> 16, code >> 8 & 255, code & 255


def format_color(color: Color) -> str:
    """(red, green, blue) -> `#rrggbb`, lower case."""
    return "#{:02x}{:02x}{:02x}".format(*color)


class LabelTable(msgspec.Struct, frozen=True, kw_only=True):
    """The meaning of the raw values of mask files.

    Attributes:
        ids: Raw value (any 64-bit integer) of masks with one channel -> class id or 255 (ignored).
        colors: `#rrggbb` of RGB masks -> class id or 255. A table with colours but no ids is applied to the colours of
            palette images, too.
        threshold: Black-and-white masks: values from the threshold on count as raw value 1, smaller ones as 0.
        divisor: Masks with instance ids: raw values from the divisor on are class * divisor + instance.
        from_alpha: Whether the raw values are those of the alpha channel; its colours then mean nothing.
        tolerance: Masks whose values were changed: largest difference from a named value or colour
            (`data.mask_tolerance`, see `pixelwise.datasets.reading.tolerance`).
    """

    ids: dict[int, int] = {}
    colors: dict[str, int] = {}
    threshold: int | None = None
    divisor: int | None = None
    from_alpha: bool = False
    tolerance: int | None = None

    def map_ids(self, values: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
        """Map a mask with one channel to class ids.

        Args:
            values: Raw values (H, W) of any integer dtype.

        Returns:
            uint8 (H, W) class ids with 255 = ignored, and the unknown raw values with their pixel counts (their pixels
            are 255 in the class ids).
        """
        items = tuple(sorted(self.ids.items()))
        lookup, is_unknown = _id_lookup(items)
        if self.threshold is not None:
            values = (values >= self.threshold).astype(np.uint8)
        elif self.divisor is not None:
            values = semantic_ids(values, self.divisor)
        if values.dtype == np.uint8:
            values = np.ascontiguousarray(values)
            labels = np.asarray(cv2.LUT(values, lookup[:256]))
            unknown = np.asarray(cv2.LUT(values, is_unknown[:256])) != 0
        elif values.dtype == np.uint16:
            labels, unknown = lookup[values], is_unknown[values] != 0
        else:
            labels, unknown = _look_up_wide(items, values)
        return labels, count_values(values[unknown]) if unknown.any() else {}

    def map_colors(self, rgb: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
        """Map an RGB mask to class ids.

        Args:
            rgb: Colours of the mask, uint8 (H, W, 3).

        Returns:
            As for `map_ids`; unknown colours are keyed by `0xrrggbb`.
        """
        codes = color_codes(rgb)
        found = _color_lookup(tuple(sorted(self.colors.items())))[codes]
        unknown = found < 0
        if not unknown.any():
            return found.astype(np.uint8), {}
        return np.where(unknown, IGNORE, found).astype(np.uint8), count_values(codes[unknown])

    def to_raw(self, labels: np.ndarray) -> np.ndarray:
        """Map class ids back to raw values, for writing masks with the data set's own ids.

        A class with several raw values is written as the smallest of them that is not negative, if there is one.
        Ignored pixels become the smallest such ignored raw value, or 255 if the table ignores none.

        Args:
            labels: uint8 (H, W) class ids with 255 = ignored.

        Returns:
            Raw values (H, W), uint8 if all of the table fit, else uint16, int64 or uint64.

        Raises:
            ValueError: A class id has no raw value, or no integer type holds all raw values.
        """
        by_preference = sorted(self.ids.items(), key=lambda item: (item[0] < 0, item[0]), reverse=True)
        raw_of = {class_id: raw for raw, class_id in by_preference}
        raw_of.setdefault(IGNORE, IGNORE)
        missing = sorted(set(np.unique(labels).tolist()) - set(raw_of))
        if missing:
            raise ValueError(f"class ids {missing} have no raw value in the label table")
        inverse = np.zeros(256, _smallest_dtype(raw_of.values()))
        inverse[list(raw_of)] = list(raw_of.values())
        return inverse[labels]


def presence(values: np.ndarray, threshold: int | None = None) -> tuple[np.ndarray, dict[int, int]]:
    """The pixels that a black-and-white mask marks as its class.

    Args:
        values: Raw values (H, W) of any integer dtype: 0 and one of 1, 255 and 65535.
        threshold: Values from the threshold on mark the class; None: only the two values are allowed.

    Returns:
        bool (H, W), and all other values with their pixel counts.
    """
    if threshold is not None:
        return values >= threshold, {}
    return values != 0, neither_black_nor_white(count_values(values))


def neither_black_nor_white(counts: dict[int, int]) -> dict[int, int]:
    """The values of a black-and-white mask that it should not have: all but 0 and one of 1, 255 and 65535.

    Args:
        counts: Value -> number of pixels, the most frequent first.
    """
    white = next((value for value in counts if value in _WHITE), None)
    return {value: pixels for value, pixels in counts.items() if value not in (0, white)}


def semantic_ids(values: np.ndarray, divisor: int) -> np.ndarray:
    """Raw class ids of values that are class * divisor + instance; values below `divisor` are kept."""
    wide = values if values.dtype == np.uint64 else values.astype(np.int64)
    return np.where(wide < divisor, wide, wide // divisor).astype(values.dtype)


def color_codes(rgb: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> int32 (H, W), each pixel as `0xrrggbb`."""
    wide = rgb.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def color_code(color: Color) -> int:
    """A colour as `0xrrggbb`."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def add_counts(counts: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Value -> number of occurrences in all of several counts."""
    total: Counter[int] = Counter()
    for count in counts:
        total.update(count)
    return total


def count_values(values: np.ndarray) -> dict[int, int]:
    """Value -> number of occurrences, the most frequent first."""
    if values.dtype in (np.uint8, np.uint16):
        histogram = np.bincount(values.ravel())  # five times faster than sorting
        unique = histogram.nonzero()[0]
        counts = histogram[unique]
    else:
        unique, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return dict(zip(unique[order].tolist(), counts[order].tolist(), strict=True))


def table_of(ids: Mapping[int, int], colors: Mapping[str, int] | None = None) -> LabelTable:
    """A table that ignores raw value 255 unless `ids` gives it another meaning.

    Raises:
        ValueError: A colour is malformed, a raw value has more than 64 bits, or a class id is outside 0..255.
    """
    for raw, class_id in ids.items():
        if not SMALLEST_ID <= raw <= LARGEST_ID or not 0 <= class_id <= IGNORE:
            raise ValueError(
                f"maps {raw} to {class_id}; expected a 64-bit integer to a class id, or to 255 to ignore it"
            )
    normal = {format_color(parse_color(text)): class_id for text, class_id in (colors or {}).items()}
    for text, class_id in normal.items():
        if not 0 <= class_id <= IGNORE:
            raise ValueError(f"maps {text} to {class_id}; expected a class id, or 255 to ignore the colour")
    return LabelTable(ids={IGNORE: IGNORE, **ids} if ids else {}, colors=normal)


@lru_cache(maxsize=16)
def _id_lookup(items: tuple[tuple[int, int], ...]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (65536,) class ids, and uint8 (65536,) 1 where a raw value is unknown."""
    lookup = np.full(65536, IGNORE, np.uint8)
    is_unknown = np.ones(65536, np.uint8)
    for raw, class_id in items:
        if 0 <= raw <= 65535:
            lookup[raw] = class_id
            is_unknown[raw] = 0
    return lookup, is_unknown


def _look_up_wide(items: tuple[tuple[int, int], ...], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As the lookup tables, for values of any integer dtype: uint8 class ids, and bool where a value is unknown."""
    # Keys are compared in the values' own signedness, because int64 and uint64 have no common integer type.
    dtype = np.dtype(np.uint64 if values.dtype == np.uint64 else np.int64)
    limits = np.iinfo(dtype)
    held = [(raw, class_id) for raw, class_id in items if limits.min <= raw <= limits.max]
    if not held:
        return np.full(values.shape, IGNORE, np.uint8), np.ones(values.shape, bool)
    keys = np.array([raw for raw, _ in held], dtype)
    classes = np.array([class_id for _, class_id in held], np.uint8)
    wide = values.astype(dtype)
    nearest = np.minimum(np.searchsorted(keys, wide), len(keys) - 1)
    unknown = keys[nearest] != wide
    return np.where(unknown, np.uint8(IGNORE), classes[nearest]), unknown


def _smallest_dtype(values: Collection[int]) -> type[np.integer]:
    """The first of uint8, uint16, int64 and uint64 that holds all values."""
    low, high = min(values), max(values)
    kinds = (np.uint8, np.uint16, np.int64, np.uint64)
    fitting = (kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    found = next(fitting, None)
    if found is None:
        raise ValueError(f"raw values {low} and {high} do not fit into one integer type")
    return found


# One table takes 32 MB; a process works with one data set, rarely with two.
@lru_cache(maxsize=2)
def _color_lookup(items: tuple[tuple[str, int], ...]) -> np.ndarray:
    """int16 (2^24,): class id by `0xrrggbb`, -1 where the colour is unknown."""
    lookup = np.full(1 << 24, -1, np.int16)
    for text, class_id in items:
        lookup[int(text[1:], 16)] = class_id
    return lookup
