"""Recognises masks that were resized with interpolation, compressed or disturbed, and finds their real values."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from pixelwise.datasets.explanations import (
    colors_override,
    compact_map,
    describe_values,
    label_map_override,
    percent,
)
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.labels import LabelTable, add_counts, color_code, parse_color
from pixelwise.datasets.reading.areas import Areas
from pixelwise.recipes.class_sets.tables import IGNORE

MOST_CLASSES = 64
"""More values than this without names are hardly classes."""
# A value with at least this share of its pixels inside areas was drawn; thin classes have less.
_DRAWN = 0.1
_FEWEST_OTHERS = 3
_WITHOUT_GAPS = 16
_FEWEST_EVEN = 5
# Share of ramps among the pixels beside a step. In CamVid's masks it is at most 0.08 for a mask (0.12 at half the
# size), and 0.25 to 1 after bilinear, bicubic or Lanczos resizing. Tiny masks of many objects, with few pixels inside
# areas, have up to 0.22.
_RAMPS = 0.16
_CROWDED, _MORE_RAMPS = 0.75, 0.3
_FEWEST_STEPS = 50
_LEAST_INNER = 0.1
# If few masks have ramps, only clear cases count.
_FEW, _CLEAR = 0.25, 0.3
# Values and colours nearer than this to a far more frequent one belong to it.
_NEAR_ID, _NEAR_COLOR = 8, 16
_FAR_MORE = 20
_LEAST_SHARE = 0.0002
_LEAST_PIXELS = 20
_COVERED, _EVEN = 0.8, 0.5
_MOST_TOLERANCE = 127


class Disturbed(NamedTuple):
    """The values of masks that were changed after they were drawn.

    Attributes:
        real: Values or colours that cover areas, in increasing order.
        others: Number of all other values.
        share: Share of the pixels that have one of the others, 0..1.
        tolerance: Largest difference that cannot lead from one real value to another; 0 if they are too near.
        masks: Positions of the masks that hold any of the others.
    """

    real: tuple[int, ...]
    others: int
    share: float
    tolerance: int
    masks: tuple[int, ...]


def disturbed_ids(masks: Sequence[Areas], *, lossy: bool = False) -> Disturbed | None:
    """The values of masks of ids, if values lie between them; None if the masks are as they were drawn.

    Args:
        masks: The areas of every mask; those of colours are left out.
        lossy: Whether the masks are known to be compressed with loss.
    """
    suspects = [i for i, mask in enumerate(masks) if not mask.colored] if lossy else with_ramps(masks)
    chosen = [masks[i] for i in suspects]
    values = set().union(*(mask.pixels for mask in chosen)) - {IGNORE}
    if not values or (values == set(range(len(values))) and len(values) <= _WITHOUT_GAPS):
        return None  # a few ids without gaps may all be classes
    pixels, inner = add_counts(mask.pixels for mask in chosen), add_counts(mask.inner for mask in chosen)
    # A thin class may have no area of its own in these masks, but in others.
    plain = [mask for mask in masks if not mask.colored]
    everywhere, inside = add_counts(mask.pixels for mask in plain), add_counts(mask.inner for mask in plain)
    drawn = [value for value in pixels if inside.get(value, 0) >= _DRAWN * everywhere[value]]
    real = _without_neighbours({value: inner.get(value, 0) for value in drawn})
    real += [value for value in _missing_multiples(real) if value in pixels]
    others = set(pixels) - set(real)
    if len(real) < 2 or len(others) < _FEWEST_OTHERS:
        return None
    where = tuple(i for i in suspects if others & set(masks[i].pixels))
    share = sum(pixels[value] for value in others) / sum(pixels.values())
    return Disturbed(tuple(sorted(real)), len(others), share, tolerance_between(real), where)


def with_ramps(masks: Sequence[Areas]) -> list[int]:
    """Positions of the masks of ids whose values change gradually at their borders, as interpolation leaves them."""
    measured = [i for i, mask in enumerate(masks) if _is_measured(mask)]
    found = [i for i in measured if _has_ramps(masks[i])]
    if len(found) < _FEW * len(measured):
        return [i for i in found if _has_clear_ramps(masks[i])]
    return found


class Ramps:
    """Whether `with_ramps` finds any mask, of masks that are seen one after the other."""

    def __init__(self) -> None:
        self._measured = self._found = self._clear = 0

    def add(self, mask: Areas) -> None:
        """Look at one mask."""
        if _is_measured(mask):
            self._measured += 1
            self._found += _has_ramps(mask)
            self._clear += _has_ramps(mask) and _has_clear_ramps(mask)

    def any(self) -> bool:
        """Whether there are masks with ramps among those seen."""
        return bool(self._clear if self._found < _FEW * self._measured else self._found)


def _is_measured(mask: Areas) -> bool:
    return mask.steps >= _FEWEST_STEPS and _inner_share(mask) >= _LEAST_INNER


def _has_ramps(mask: Areas) -> bool:
    return _ramp_share(mask) >= _usual_ramps(mask)


def _has_clear_ramps(mask: Areas) -> bool:
    return _ramp_share(mask) >= max(_CLEAR, _usual_ramps(mask))


def _ramp_share(mask: Areas) -> float:
    return mask.ramps / mask.steps


def _usual_ramps(mask: Areas) -> float:
    return _RAMPS + _MORE_RAMPS * max(0.0, _CROWDED - _inner_share(mask))


def _inner_share(mask: Areas) -> float:
    return sum(mask.inner.values()) / max(1, sum(mask.pixels.values()))


def disturbed_colors(masks: Sequence[Areas]) -> Disturbed | None:
    """The colours of RGB masks, if compression, interpolation or noise added others; None if not, or for photos."""
    colored = [i for i, mask in enumerate(masks) if mask.colored]
    pixels, inner = (add_counts(getattr(masks[i], name) for i in colored) for name in ("pixels", "inner"))
    noisy = any(masks[i].noisy for i in colored)
    total = sum(inner.values())
    drawn = {
        color: count
        for color, count in inner.items()
        if count >= max(_LEAST_PIXELS, _LEAST_SHARE * total) and (noisy or count >= _DRAWN * pixels[color])
    }
    others = len(pixels.keys() - drawn.keys())
    if len(drawn) < 2 or others < _FEWEST_OTHERS:
        return None
    real = _separate_colors(drawn)
    tolerance = tolerance_between(real, colors=True)
    if not 2 <= len(real) <= MOST_CLASSES or not tolerance:
        return None
    near = sum(count for color, count in pixels.items() if min(color_distance(color, one) for one in real) <= tolerance)
    if near < _COVERED * sum(pixels.values()) or total < _EVEN * sum(pixels.values()):
        return None
    others = set(pixels) - set(real)
    share = sum(pixels[color] for color in others) / sum(pixels.values())
    where = tuple(i for i in colored if others & set(masks[i].pixels))
    return Disturbed(tuple(sorted(real)), len(others), share, tolerance, where)


def disturbed_finding(
    found: Disturbed, files: Sequence[str], table: LabelTable | None = None, *, colored: bool = False
) -> Finding:
    """D260: the real values of masks that were changed after they were drawn, and the way to read them.

    Args:
        found: The values of the masks.
        files: Names of the masks that hold other values.
        table: The label table in use; None if the values have no names yet.
        colored: Whether the values are colours.
    """
    what = "colours" if colored else "values"
    cause = (
        "compressed with loss, resized with interpolation, or disturbed"
        if colored
        else "resized with interpolation, or drawn with smooth edges"
    )
    real = [value for value in found.real if colored or value != IGNORE]
    ignored = " besides 255, which means ignored" if len(real) < len(found.real) else ""
    message = (
        f"{percent(found.share)} of the pixels have one of {found.others} other {what} than the {len(real)} real ones "
        f"({describe_values(real, colors=colored)}){ignored}: the masks were {cause}"
    )
    return finding("D260", message, files, remedy(found, table, colored=colored))


def remedy(found: Disturbed, table: LabelTable | None = None, *, colored: bool = False) -> str:
    """The settings that read masks with the values of `found`, or the advice to export them again."""
    export = "export the masks again as PNG, resized with nearest neighbour only"
    if not found.tolerance:
        return f"{export}: these values are too near to one another to be told apart"
    if not colored and len(found.real) == 2 and found.real[0] == 0 and found.real[1] <= IGNORE:
        threshold = 128 if found.real[1] == IGNORE else (found.real[1] + 1) // 2
        return f"data.mask_threshold={threshold} reads them as background and object; or {export}"
    known = set(table.ids) if table else set()
    if colored:
        known = {color_code(parse_color(text)) for text in table.colors} if table else set()
    extra = ""
    tolerance = found.tolerance
    if known >= set(found.real):
        tolerance = tolerance_between(known, colors=colored)
        if not tolerance:
            return f"{export}: the values of the label table are too near to one another to be told apart"
    elif colored:
        extra = colors_override({color: class_id for class_id, color in enumerate(found.real)}) + " "
    else:
        extra = label_map_override(compact_map(found.real)) + " "
    return (
        f"add {extra}data.mask_tolerance={tolerance}, which gives other values the class of the nearest real one "
        f"beside them and ignores the rest; better, {export}"
    )


def tolerance_between(values: Collection[int], *, colors: bool = False) -> int:
    """The largest tolerance with which no value is near two of these; 0 if they are too near for any."""
    ordered = sorted(values)
    distances = [
        color_distance(one, other) if colors else other - one
        for index, one in enumerate(ordered)
        for other in ordered[index + 1 :]
    ]
    return min(_MOST_TOLERANCE, (min(distances) - 1) // 2) if distances else 0


def color_distance(one: int, other: int) -> int:
    """Largest difference of a channel of two colours `0xrrggbb`."""
    return max(abs((one >> shift & 255) - (other >> shift & 255)) for shift in (16, 8, 0))


def _without_neighbours(counts: Mapping[int, int]) -> list[int]:
    """The values without those near a far more frequent one, and without those of hardly any pixel."""
    least = max(_LEAST_PIXELS, _LEAST_SHARE * sum(counts.values()))
    kept: list[int] = []
    for value, count in sorted(counts.items(), key=lambda item: -item[1]):
        near = any(abs(value - other) < _NEAR_ID and _FAR_MORE * count < counts[other] for other in kept)
        if not near and (count >= least or value == IGNORE):
            kept.append(value)
    return kept


def _missing_multiples(real: Sequence[int]) -> list[int]:
    """Values that complete evenly spaced ones: classes that are too thin to cover an area."""
    ordered = sorted(set(real) - {IGNORE})
    if len(ordered) < _FEWEST_EVEN or ordered[0] != 0:
        return []
    step = min(other - one for one, other in itertools.pairwise(ordered))
    multiples = range(0, ordered[-1] + 1, step)
    if step < _FEWEST_OTHERS or not set(ordered) <= set(multiples) or len(multiples) > MOST_CLASSES:
        return []
    return [value for value in multiples if value not in ordered]


def _separate_colors(counts: Mapping[int, int]) -> list[int]:
    kept: list[int] = []
    for color in sorted(counts, key=lambda color: -counts[color]):
        if all(color_distance(color, other) > _NEAR_COLOR for other in kept):
            kept.append(color)
        if len(kept) > MOST_CLASSES:
            break
    return kept
