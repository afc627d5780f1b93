"""Explains unexpected mask values and proposes overrides that give them a meaning.

All are pure functions of the values found, so that the error about one file and the audit of a whole data set give the
same explanations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Sized

from pixelwise.datasets.labels import format_color
from pixelwise.recipes.class_sets.tables import CAMVID, CITYSCAPES, IGNORE, VOC, Color, voc_color

_CITYSCAPES_IDS = CITYSCAPES.label_table
_MANY_IDS = 64
_MANY_COLORS = 40
_SHOWN = 5
_RANGES = 20
# Compression changes black and white by at most this much.
_NEARLY = 31
_FEW_GREYS = 4
# Fewer pixels than this share are a slip of the pen rather than a class.
_STRAY = 0.001
MOSTLY = 0.9
"""Masks with at least this share of nearly black and nearly white pixels are meant to be black and white."""
THRESHOLD_HELP = "data.mask_threshold=128 reads them as black and white: values from 128 on are the object"


def describe_counts(counts: Mapping[int, int], *, colors: bool = False) -> str:
    """`33 (7 px), 19 (2 px)`: at most five values, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    names = ((f"#{value:06x}" if colors else str(value), pixels) for value, pixels in ordered[:_SHOWN])
    text = ", ".join(f"{name} ({pixels} px)" for name, pixels in names)
    more = len(counts) - _SHOWN
    return f"{text} and {more} more" if more > 0 else text


def describe_ids(ids: Collection[int]) -> str:
    """`0..18 or 255 (ignored)`: three or more consecutive ids become a range."""
    named = sorted(set(ids) - {IGNORE})
    if not named:
        return "255 (ignored)"
    ranges: list[list[int]] = []
    for raw in named:
        if ranges and raw == ranges[-1][-1] + 1:
            ranges[-1].append(raw)
        else:
            ranges.append([raw])
    parts: list[str] = []
    for found in ranges:
        parts += [f"{found[0]}..{found[-1]}"] if len(found) > 2 else map(str, found)
    text = ", ".join(parts[:_RANGES]) + (", ..." if len(parts) > _RANGES else "")
    return f"{text} or {IGNORE} (ignored)" if IGNORE in ids else text


def describe_values(values: Collection[int], *, colors: bool = False) -> str:
    """`0, 80, 160`, or `#000000, #ff0000`: at most twenty values."""
    names = [f"#{value:06x}" if colors else str(value) for value in sorted(values)]
    return ", ".join(names[:_RANGES]) + (", ..." if len(names) > _RANGES else "")


def in_files(value: object, pixels: int, masks: int, first: str) -> str:
    """`37 (16 px in masks/a.png)`, or the number of masks and the first of them."""
    where = first if masks == 1 else f"{masks} masks, the first: {first}"
    return f"{value} ({pixels} px in {where})"


def number_of(things: Sized, one: str, several: str) -> str:
    """`1 mask holds` or `3 masks hold`."""
    return f"{len(things)} {one if len(things) == 1 else several}"


def percent(share: float) -> str:
    """`12 %`: a share of 0..1 with two digits, never in powers of ten."""
    number = 100 * share
    return f"{number:.0f} %" if number >= 9.95 else f"{number:.2g} %" if number >= 0.01 or not number else "< 0.01 %"


def black_and_white_share(counts: Mapping[int, int]) -> float:
    """Share of the pixels, 0..1, that are nearly 0 or nearly 255; 0.0 if one of the two is missing.

    Args:
        counts: Raw value -> number of pixels.
    """
    black = sum(pixels for value, pixels in counts.items() if 0 <= value <= _NEARLY)
    white = sum(pixels for value, pixels in counts.items() if 255 - _NEARLY <= value <= 255)
    return (black + white) / sum(counts.values()) if black and white else 0.0


def are_smoothed(counts: Mapping[int, int]) -> bool:
    """Whether the values are those of black-and-white masks with grey edges, as resizing or smoothing leaves them.

    Args:
        counts: Raw value -> number of pixels, over all masks.
    """
    greys = sum(_NEARLY < value < 255 - _NEARLY for value in counts)
    return greys >= _FEW_GREYS and black_and_white_share(counts) >= MOSTLY


def label_map_override(mapping: Mapping[int, int]) -> str:
    """The command-line override for a label map, quoted for a shell."""
    entries = ", ".join(f"{raw} = {class_id}" for raw, class_id in sorted(mapping.items()))
    return f"'data.label_map={{{entries}}}'"


def colors_override(mapping: Mapping[int, int]) -> str:
    """The command-line override for a colour table (`0xrrggbb` -> class id), quoted for a shell."""
    entries = ", ".join(f'"#{code:06x}" = {class_id}' for code, class_id in mapping.items())
    return f"'data.colors={{{entries}}}'"


def compact_map(ids: Collection[int]) -> dict[int, int]:
    """The label map that makes raw ids contiguous: sorted ids become 0, 1, ...; 255 stays ignored.

    Negative ids, which stand for missing data, are ignored. If three or more ids divide the grey levels from 0 to 255
    evenly (0, 85, 170, 255), 255 is the last class.
    """
    if is_grey_scale(ids):
        return {raw: i for i, raw in enumerate(sorted(set(ids)))}
    negative = {raw for raw in ids if raw < 0}
    return {
        **{raw: i for i, raw in enumerate(sorted(set(ids) - negative - {IGNORE}))},
        **dict.fromkeys(sorted(negative), IGNORE),
        **({IGNORE: IGNORE} if IGNORE in ids else {}),
    }


def is_grey_scale(ids: Collection[int]) -> bool:
    """Whether three or more ids divide the grey levels from 0 to 255 evenly, as far as rounding goes."""
    ordered = sorted(set(ids))
    last = len(ordered) - 1
    return last >= 2 and all(abs(raw * last - IGNORE * i) <= last for i, raw in enumerate(ordered))


def explain_lossy(counts: Mapping[int, int]) -> str:
    """The fix for a mask in a lossy format.

    Args:
        counts: Raw value -> number of pixels; empty for a colour image.
    """
    if counts and black_and_white_share(counts) >= MOSTLY:
        return f"{THRESHOLD_HELP}; or export the masks as PNG"
    return "export the mask as PNG; converting this file does not restore the ids"


def explain_unknown_ids(
    unknown: Collection[int], seen: Mapping[int, int], num_classes: int, known: Mapping[int, int] | None = None
) -> str:
    """The likely cause of raw ids that the label table does not name, and the fix.

    Args:
        unknown: Raw ids that the label table does not name.
        seen: All raw ids of the masks, known ones included, each with its number of pixels.
        num_classes: Number of classes of the data set.
        known: Raw id -> class id or 255, of the label table; None if raw ids are class ids.
    """
    identity = {raw: raw for raw in range(num_classes)}
    table = {raw: class_id for raw, class_id in (known or identity).items() if (raw, class_id) != (IGNORE, IGNORE)}
    labelled = sorted(set(seen) - {IGNORE})
    if len(set(unknown)) > _MANY_IDS:
        return (
            "so many values mean that the mask was resized with interpolation, is a photo, or holds instance ids: "
            "export class ids, and resize with nearest neighbour"
        )
    few = sum(seen.get(raw, 0) for raw in unknown) < _STRAY * sum(seen[raw] for raw in labelled)
    ignoring = label_map_override({**table, **dict.fromkeys(unknown, IGNORE)})
    cause = _other_numbering(set(unknown), seen, num_classes) if table == identity else ""
    if cause:
        stray = f"to ignore these few pixels, add {ignoring}; " if few and 0 in seen else ""
        return stray + cause
    if min(unknown) >= 1000:
        return "these look like instance ids (class * 1000 + instance): export semantic class ids instead"
    named = compact_map(seen)
    meant = {class_id for class_id in named.values() if class_id != IGNORE}
    if table == identity and not few and meant == set(range(num_classes)) and min(unknown) >= 0:
        return f"there are as many values as classes: if they are in the same order, add {label_map_override(named)}"
    kept = {table[raw] for raw in labelled if raw in table} - {IGNORE}
    several = len(set(table.values()) - {IGNORE}) > 1
    if len(kept) > 1 or (few and several):
        return f"to ignore them, add {ignoring}; if they are classes, map them and name them in data.classes"
    return (
        "say what each value means with data.label_map (RAW = ID, 255 to ignore it): without these values, "
        f"{'only one class' if kept else 'no class'} is left"
    )


def _other_numbering(unknown: set[int], seen: Collection[int], num_classes: int) -> str:
    """The fix for ids that follow a well-known numbering other than 0..n-1; empty for all others."""
    labelled = sorted(set(seen) - {IGNORE})
    if not labelled:
        return ""
    from_one = {raw: raw - 1 for raw in range(1, num_classes + 1)}
    if min(labelled) >= 1 and max(labelled) == num_classes:
        return f"the ids seem to count from 1: add {label_map_override(from_one)}"
    negative = {raw for raw in labelled if raw < 0}
    if num_classes == len(CITYSCAPES.names) and unknown - negative and set(labelled) - negative <= set(_CITYSCAPES_IDS):
        full = {**_CITYSCAPES_IDS, **dict.fromkeys(negative, IGNORE)}
        return f"these look like full Cityscapes ids: add {label_map_override(full)}"
    if unknown == {num_classes} and 0 in labelled:
        return (
            f"if 0 means unlabelled, add {label_map_override({0: IGNORE, **from_one})}; "
            f"otherwise data.classes lacks a name (it has {num_classes})"
        )
    return ""


def known_palettes() -> dict[str, dict[int, int]]:
    """Colour tables (`0xrrggbb` -> class id or 255) of well-known data sets, by name."""

    def table(palette: Sequence[Color], ignored: Color) -> dict[int, int]:
        codes = {int(format_color(color)[1:], 16): class_id for class_id, color in enumerate(palette)}
        return {**codes, int(format_color(ignored)[1:], 16): IGNORE}

    return {
        "CamVid": table(CAMVID.palette, CAMVID.unlabelled_color),
        "Cityscapes": table(CITYSCAPES.palette, CITYSCAPES.unlabelled_color),
        "Pascal VOC": table([voc_color(i) for i in range(21)], (224, 224, 192)),
    }


def explain_colors_without_table(colors: Mapping[int, int], num_classes: int = 0) -> tuple[str, str]:
    """The likely content of RGB masks without a colour table, and the fix.

    Args:
        colors: `0xrrggbb` -> number of pixels.
        num_classes: Number of classes of the data set; 0 if they have no names yet.

    Returns:
        A clause for the message and the help text.
    """
    total = sum(colors.values())
    name, matched, table = max(
        ((name, sum(colors.get(code, 0) for code in table), table) for name, table in known_palettes().items()),
        key=lambda item: item[1],
    )
    # Black is part of every palette, and a single colour may match by chance.
    if matched >= 0.5 * total and len(set(colors) & set(table) - {0}) >= 2:
        found = {code: class_id for code, class_id in table.items() if code in colors}
        clause = f"{100 * matched / total:.1f} % of the pixels have colours of the {name} palette"
        if max(found.values(), key=lambda class_id: class_id if class_id != IGNORE else -1) < num_classes:
            return clause, f"add {colors_override(found)}, with the class ids of {name}"
        # Ids without gaps: classes without a colour in these masks would be empty.
        ranks = {class_id: i for i, class_id in enumerate(sorted(set(found.values()) - {IGNORE}))}
        compact = {code: ranks.get(class_id, IGNORE) for code, class_id in found.items()}
        names = ", ".join(f'"{_PALETTE_NAMES[name][class_id]}"' for class_id in ranks)
        return clause, f"add {colors_override(compact)} 'data.classes=[{names}]'"
    if len(colors) > _MANY_COLORS:
        return (
            "so many colours mean a photo, a JPEG, or edges smoothed by interpolation",
            "export masks as PNG with class ids, without smoothing",
        )
    by_area = sorted(colors, key=lambda code: -colors[code])
    # No colour gets a class id beyond those that have names.
    table = {code: i if i < (num_classes or len(colors)) else IGNORE for i, code in enumerate(by_area)}
    return (
        f"they are {describe_counts(colors, colors=True)}",
        f"map them to classes, for example {colors_override(table)}",
    )


_PALETTE_NAMES = {"CamVid": CAMVID.names, "Cityscapes": CITYSCAPES.names, "Pascal VOC": VOC.names}


def explain_unknown_colors(unknown: Mapping[int, int], total_pixels: int, num_colors: int) -> tuple[str, str]:
    """The likely cause of colours outside the colour table: a clause for the message and the help text."""
    outside = percent(sum(unknown.values()) / total_pixels)
    share = f"{num_colors} colours; {outside} of the pixels are not in the colour table"
    if len(unknown) > _MANY_COLORS:
        return (
            f"{share}: the mask was saved as JPEG or resized with interpolation",
            "export it as PNG at its original size, without smoothing; colours are never guessed",
        )
    return (
        f"{share}: {describe_counts(unknown, colors=True)}",
        "add them to data.colors (a class id, or 255 to ignore them)",
    )
