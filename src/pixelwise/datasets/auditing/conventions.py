"""Masks that follow different conventions: the same classes under other values in some of the files.

Each mask alone is valid, and together they may even have ids without gaps; only the comparison shows that one value has
two meanings, or one class two values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pixelwise.datasets.auditing.examination import Examination, mask_name
from pixelwise.datasets.explanations import colors_override, describe_ids, describe_values, label_map_override
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.labels import add_counts, color_code
from pixelwise.datasets.samples import Dataset
from pixelwise.recipes.class_sets.tables import IGNORE

_FULL = (127, 128, 254, IGNORE, 65535)
"""Values that tools write for the object of a black-and-white mask, besides 1."""
_ALLOW = "or accept them as they are: 'data.allow=[\"D261\"]'"
# Files on each side that a shift of all ids needs, if it does not divide the splits.
_FEWEST = 3
_MUCH_NEARER = 0.5


def mixed_conventions(dataset: Dataset, examinations: Sequence[Examination]) -> list[Finding]:
    """D261 if the masks follow different conventions; empty for multi-label data, whose masks are read one by one."""
    table = dataset.label_table
    if dataset.multilabel or table.threshold is not None or table.tolerance is not None:
        return []
    found = _colors_and_ids(dataset, examinations)
    if found is None:
        with_ids = [e for e in examinations if e.raw_ids and not e.areas.colored]
        for look in (_renumbered_palettes, _two_whites, _two_scales, _shifted, _white_beside_ids):
            found = found or look(dataset, with_ids)
    return [found] if found else []


class Conventions:
    """Whether `mixed_conventions` may find anything, of masks that are seen one after the other.

    It looks at all masks together, several times. What it needs to find something is known from sets of values.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._table = dataset.label_table
        self._by_color = bool(self._table.colors) and not self._table.ids
        self._read_one_by_one = (
            dataset.multilabel or self._table.threshold is not None or self._table.tolerance is not None
        )
        self._colored = self._plain = self._unknown = False
        self._values: set[int] = set()
        self._sets: set[frozenset[int]] | None = set()  # None once there are more than two values besides 0
        self._color_ids: dict[tuple[int, int, int], int] = {}
        self._id_colors: dict[int, tuple[int, int, int]] = {}
        self._renumbered = False
        self._beside_zero: set[int] = set()
        self._without_zero: set[int] | None = None  # what all masks without 0 have in common
        self._white = self._others = self._ignored = False

    def add(self, mask: Examination) -> None:
        """Look at one mask."""
        if self._read_one_by_one:
            return
        self._colored |= mask.areas.colored
        self._plain |= bool(mask.areas.pixels) and not mask.areas.colored
        self._unknown |= bool(mask.unknown_colors or mask.unknown_ids)
        if not mask.raw_ids or mask.areas.colored:
            return
        raw_ids = mask.raw_ids.keys()
        self._values |= raw_ids
        if self._sets is not None:
            self._sets = None if len(self._values - {0}) > 2 else self._sets | {frozenset(raw_ids)}
        used = {color: raw for raw, color in mask.colors.items()}
        one_color_two_ids = any(self._color_ids.setdefault(color, raw) != raw for color, raw in used.items())
        one_id_two_colors = any(self._id_colors.setdefault(raw, color) != color for color, raw in used.items())
        self._renumbered |= one_color_two_ids and one_id_two_colors
        if 0 in raw_ids:
            self._beside_zero |= raw_ids
        else:
            self._without_zero = set(raw_ids) if self._without_zero is None else self._without_zero & raw_ids
        self._white |= raw_ids == {0, IGNORE}
        if raw_ids - {0, IGNORE}:
            self._others = True
            self._ignored |= IGNORE in raw_ids

    def may_be_mixed(self) -> bool:
        """Whether the masks have to be looked at together; if not, `mixed_conventions` finds nothing in them."""
        if self._read_one_by_one:
            return False
        return (
            (self._colored and self._plain and self._unknown)
            or (self._renumbered and not self._by_color)
            or self._have_two_whites()
            or self._have_two_scales()
            or self._are_shifted()
            or (self._white and self._others and not self._ignored)
        )

    def _have_two_whites(self) -> bool:
        values = self._values - {0}
        if self._sets is None or len(values) != 2:
            return False
        table = self._table.ids
        low, high = sorted(values)
        if table.get(low) == table.get(high) and high in table:
            return False
        return high in _FULL and low in (1, *_FULL) and not any(values <= some for some in self._sets)

    def _have_two_scales(self) -> bool:
        values = self._values - {0, IGNORE}
        first = next(value for value in range(1, len(values) + 2) if value not in values)
        grey = {value for value in values if value > first}
        choices = [grey | {IGNORE}] * (IGNORE in self._values) + [grey]
        # Smaller values may be grey values, too, which makes it no easier.
        return bool(grey) and any(_evenly_spaced(choice, number) for choice in choices for number in range(1, first))

    def _are_shifted(self) -> bool:
        values = self._values - {IGNORE}
        largest = max(values, default=0)
        return (
            len(values) >= 4
            and values == set(range(largest + 1))
            and largest not in self._beside_zero
            and self._without_zero is not None
            and largest in self._without_zero
        )


def _mixed(dataset: Dataset, groups: Sequence[tuple[Sequence[Examination], str]], fix: str) -> Finding:
    """The finding about two groups of masks; files of both are listed, those of the smaller group first."""
    ordered = sorted(groups, key=lambda group: len(group[0]))
    parts = []
    for members, what in groups:
        verb = f"{len(members)} mask holds" if len(members) == 1 else f"{len(members)} masks hold"
        splits = Counter(e.split for e in members)
        where = f"{', '.join(splits)}: " if len(splits) < len({e.split for group, _ in groups for e in group}) else ""
        parts.append(f"{verb} {what} ({where}{mask_name(members[0], dataset)})")
    files = [mask_name(e, dataset) for members, _ in ordered for e in members[:2]]
    rest = [mask_name(e, dataset) for members, _ in ordered for e in members[2:]]
    return finding("D261", f"the masks follow different conventions: {'; '.join(parts)}", [*files, *rest], fix)


def _colors_and_ids(dataset: Dataset, examinations: Sequence[Examination]) -> Finding | None:
    """RGB masks beside masks of ids, of which the label table reads only one kind."""
    colored = [e for e in examinations if e.areas.colored]
    ids = [e for e in examinations if e.areas.pixels and not e.areas.colored]
    if not colored or not ids or not any(e.unknown_colors or e.unknown_ids for e in examinations):
        return None
    colors = add_counts(e.areas.pixels for e in colored)
    values = add_counts(e.raw_ids for e in ids)
    if len(colors) > len(values) + len(dataset.label_table.colors) + 8:
        return None  # photos or smoothed masks among others, which are reported as such
    palette = {color: raw for e in ids for raw, color in e.colors.items()}
    named = {color_code(color): raw for color, raw in palette.items()}
    fix = "export all masks in one way: nothing says which colour is which id"
    if set(colors) <= set(named) and len(named) == len(set(named.values())):
        known = dataset.label_table.ids
        kept = sorted(raw for raw in values if raw != IGNORE)
        mapping = {raw: known.get(raw, index) for index, raw in enumerate(kept)} | {IGNORE: IGNORE}
        table = {color: mapping.get(raw, IGNORE) for color, raw in sorted(named.items())}
        fix = f"the palette says which colour is which id: {label_map_override(mapping)} {colors_override(table)}"
    what = f"the colours {describe_values(colors, colors=True)}"
    return _mixed(dataset, [(ids, f"ids {describe_ids(values)}"), (colored, what)], fix)


def _renumbered_palettes(dataset: Dataset, masks: Sequence[Examination]) -> Finding | None:
    """Palette masks with the same colours under different ids: an editor numbered the colours in every file."""
    if dataset.label_table.colors and not dataset.label_table.ids:
        return None  # read by colour
    first: dict[tuple[int, int, int], int] = {}
    color_of: dict[int, tuple[int, int, int]] = {}
    contrary: list[Examination] = []
    for mask in masks:
        used = {color: raw for raw, color in mask.colors.items()}
        one_color_two_ids = any(first.setdefault(color, raw) != raw for color, raw in used.items())
        one_id_two_colors = any(color_of.setdefault(raw, color) != color for color, raw in used.items())
        if one_color_two_ids and one_id_two_colors:
            contrary.append(mask)
    if not contrary:
        return None
    codes = sorted(map(color_code, first))
    table = {code: class_id for class_id, code in enumerate(codes)}
    known = {id(mask) for mask in contrary}
    others = [mask for mask in masks if mask.colors and id(mask) not in known]
    return _mixed(
        dataset,
        [(others, "palette colours under some ids"), (contrary, "the same colours under other ids")],
        f"the colours encode the classes, so read them: {colors_override(table)}",
    )


def _two_whites(dataset: Dataset, masks: Sequence[Examination]) -> Finding | None:
    """Black-and-white masks that mark the object with 1 in some files and with 255 in others."""
    values = set().union(*(mask.raw_ids for mask in masks)) - {0}
    if len(values) != 2:
        return None
    low, high = sorted(values)
    if high not in _FULL or low not in (1, *_FULL) or any({low, high} <= set(mask.raw_ids) for mask in masks):
        return None
    table = dataset.label_table.ids
    if table.get(low) == table.get(high) and high in table:
        return None
    groups = [([m for m in masks if value in m.raw_ids], f"0 and {value}") for value in (low, high)]
    override = label_map_override({0: 0, low: 1, high: 1})
    if high != IGNORE:
        return _mixed(dataset, groups, f"if both mark the object, add {override}; {_ALLOW}")
    fix = f"no mask holds both: if {low} and 255 mark the object, add {override}"
    if {e.split for e in groups[0][0]} & {e.split for e in groups[1][0]}:
        # Otherwise a whole split would lack the object.
        fix += f"; if 255 means ignored, {_ALLOW[3:]}"
    return _mixed(dataset, groups, fix)


def _white_beside_ids(dataset: Dataset, masks: Sequence[Examination]) -> Finding | None:
    """Black-and-white masks among masks of several ids, none of which has an ignored pixel: nobody meant to ignore."""
    white = [mask for mask in masks if set(mask.raw_ids) == {0, IGNORE}]
    others = [mask for mask in masks if set(mask.raw_ids) - {0, IGNORE}]
    by_split = not {mask.split for mask in white} & {mask.split for mask in others}
    if not others or len(white) < (1 if by_split else _FEWEST) or any(IGNORE in mask.raw_ids for mask in others):
        return None
    if dataset.label_table.ids.get(IGNORE, IGNORE) != IGNORE:
        return None
    ids = set().union(*(mask.raw_ids for mask in others))
    return _mixed(
        dataset,
        [(others, f"ids {describe_ids(ids)}"), (white, "0 and 255, which means ignored")],
        f"if 255 marks an object, export these masks with the ids of the others; if it means ignored, {_ALLOW[3:]}",
    )


def _two_scales(dataset: Dataset, masks: Sequence[Examination]) -> Finding | None:
    """Ids 1, 2, ... in some files and evenly spaced grey values, such as 127 and 255, in others."""
    values = set().union(*(mask.raw_ids for mask in masks)) - {0, IGNORE}
    first = next(value for value in range(1, len(values) + 2) if value not in values)
    with_ids = [mask for mask in masks if not any(first <= raw < IGNORE or raw > IGNORE for raw in mask.raw_ids)]
    ids = set().union(*(mask.raw_ids for mask in with_ids)) - {0, IGNORE}
    with_grey = [mask for mask in masks if set(mask.raw_ids) - ids - {0, IGNORE}]
    if not ids or ids != set(range(1, len(ids) + 1)):
        return None
    grey = set().union(*(mask.raw_ids for mask in with_grey)) - {0, IGNORE}
    ends = any(IGNORE in mask.raw_ids for mask in with_grey) and not any(IGNORE in mask.raw_ids for mask in with_ids)
    choices = [grey | {IGNORE}] * ends + [grey]
    scale = next((found for choice in choices if (found := _scale(choice, len(ids)))), None)
    table = dataset.label_table.ids
    if scale is None or not with_grey or all(table.get(raw) == table.get(rank, -1) for raw, rank in scale.items()):
        return None
    mapping = {IGNORE: IGNORE, 0: 0, **{raw: raw for raw in ids}, **scale}
    double = [raw for raw, rank in scale.items() if raw in ids and raw != rank]
    if double:
        fix = (
            f"{double[0]} has two meanings, so no table is right for both: export the masks of one kind again; {_ALLOW}"
        )
    else:
        fix = f"the grey values are the ids on a larger scale: add {label_map_override(mapping)}; {_ALLOW}"
    return _mixed(
        dataset,
        [(with_ids, f"ids {describe_ids({0, *ids})}"), (with_grey, f"grey values {describe_values({0, *scale})}")],
        fix,
    )


def _scale(grey: Iterable[int], number: int) -> dict[int, int] | None:
    """Grey value -> rank, if at least two values are multiples of one step, as far as rounding goes."""
    return _evenly_spaced(grey, number) if len(set(grey)) >= 2 else None


def _evenly_spaced(grey: Iterable[int], number: int) -> dict[int, int] | None:
    values = sorted(grey)
    if not values:
        return None
    step = values[-1] / number
    ranks = {value: round(value / step) for value in values}
    even = all(abs(value - rank * step) <= 1 for value, rank in ranks.items())
    distinct = len(set(ranks.values())) == len(values)
    return ranks if step > 2 and even and distinct and min(ranks.values()) >= 1 else None


def _shifted(dataset: Dataset, masks: Sequence[Examination]) -> Finding | None:
    """Ids 0..n in some files and 1..n+1 in others: every mask has either 0 or the largest id, and shares agree so."""
    values = sorted(set().union(*(mask.raw_ids for mask in masks)) - {IGNORE})
    if len(values) < 4 or values != list(range(len(values))):
        return None
    largest = values[-1]
    from_zero = [mask for mask in masks if 0 in mask.raw_ids]
    from_one = [mask for mask in masks if 0 not in mask.raw_ids and largest in mask.raw_ids]
    if any(largest in mask.raw_ids for mask in from_zero) or len(from_zero) + len(from_one) < len(masks):
        return None
    by_split = not {mask.split for mask in from_zero} & {mask.split for mask in from_one}
    if min(len(from_zero), len(from_one)) < (1 if by_split else _FEWEST):
        return None
    low, high = (_shares([mask.raw_ids for mask in group], largest) for group in (from_zero, from_one))
    shifted = sum(abs(one - other) for one, other in zip(low, [*high[1:], 0.0], strict=True))
    plain = sum(abs(one - other) for one, other in zip(low, high, strict=True))
    if shifted >= _MUCH_NEARER * plain:
        return None
    return _mixed(
        dataset,
        [(from_zero, f"ids {describe_ids(range(largest))}"), (from_one, f"ids {describe_ids(range(1, largest + 1))}")],
        "no mask holds both 0 and the largest id, and the shares of the classes agree if the ids of one kind are "
        f"shifted by 1: export the masks of one kind again, with ids that count from where the others do; {_ALLOW}",
    )


def _shares(counts: Sequence[Mapping[int, int]], largest: int) -> list[float]:
    total = add_counts(counts)
    pixels = max(1, sum(count for raw, count in total.items() if raw <= largest))
    return [total.get(raw, 0) / pixels for raw in range(largest + 1)]
