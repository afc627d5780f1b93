"""Infers the classes of a folder that does not name them from the values of its masks."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.explanations import THRESHOLD_HELP, are_smoothed, compact_map, describe_ids, label_map_override
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.fingerprint import stat_signature
from pixelwise.datasets.labels import LabelTable, color_codes, count_values, semantic_ids
from pixelwise.datasets.reading.masks import load_mask
from pixelwise.errors import DataError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.storage import printable, remembered
from pixelwise.storage.cache_kinds import MASK_IDS
from pixelwise.storage.caches import subject_of

# RGB masks with more colours are photos or were smoothed.
_MAX_COLORS = 40
_NAMED = 8
# Colours with a smaller share of the pixels are rare; this many of them between two others are no coincidence.
_RARE = 0.002
_MANY_BETWEEN = 3
_MAX_CLASSES = 254
_MAX_IDS = 65536


class MaskIds(msgspec.Struct, frozen=True, kw_only=True):
    """Raw ids or colours of all masks together.

    Attributes:
        files: Raw id -> number of masks that contain it, and the first of them (printable).
        pixels: Raw id -> number of pixels over all masks.
        palette: Colours of the first palette image among the masks, by raw id; empty if there is none.
        colors: `0xrrggbb` -> number of pixels over all masks; empty unless all masks are RGB images and at least one
            of them is not grey.
        rgb_files: Printable names of the RGB masks that are not grey.
    """

    files: dict[int, tuple[int, str]]
    pixels: dict[int, int] = {}
    palette: tuple[Color, ...] = ()
    colors: dict[int, int] = {}
    rgb_files: tuple[str, ...] = ()


class _MaskValues(NamedTuple):
    """Values of one mask with their pixel counts; `colors` for RGB images only, grey ones included."""

    ids: Mapping[int, int] = MappingProxyType({})
    palette: tuple[Color, ...] = ()
    colors: Mapping[int, int] = MappingProxyType({})


def read_mask_ids(
    root: Path, masks: Sequence[Path], *, max_pixels: int, divisor: int | None = None, from_alpha: bool = False
) -> MaskIds:
    """Decode all masks and collect their raw ids; unreadable and lossy masks are left to the audit.

    The result is cached in the user's cache folder until a mask changes.

    Args:
        root: Folder of the data set.
        masks: Paths of the mask files.
        max_pixels: Masks with more pixels are refused before they are decoded.
        divisor: `data.instance_divisor`, for masks of class * divisor + instance; None for all others.
        from_alpha: Whether the ids are in the alpha channel of the masks.
    """
    table = LabelTable(divisor=divisor, from_alpha=from_alpha)
    source = ("alpha",) if from_alpha else ()
    return remembered(
        MASK_IDS,
        f"{stat_signature([*masks, *map(Path, source)])[:20]}-{divisor or 0}",
        MaskIds,
        lambda: _read_mask_ids(masks, max_pixels, table),
        subject=subject_of(root.absolute(), divisor, *source),
    )


def _read_mask_ids(masks: Sequence[Path], max_pixels: int, table: LabelTable) -> MaskIds:
    files: dict[int, tuple[int, str]] = {}
    pixels: Counter[int] = Counter()
    palette: tuple[Color, ...] = ()
    colors: Counter[int] = Counter()
    colored: list[str] = []
    without_colors = 0
    with thread_pool(reading_threads()) as pool:
        contents = pool.map(lambda path: _examine(path, max_pixels, table), masks)
        for path, found in zip(masks, contents, strict=True):
            palette = palette or found.palette
            if len(files) > _MAX_IDS:
                break  # not class ids but other integers; more of them would tell nothing new
            pixels.update(found.ids)
            for raw_id in found.ids:
                count, first = files.get(raw_id, (0, printable(path)))
                files[raw_id] = (count + 1, first)
            if len(colors) <= _MAX_IDS:
                colors.update(found.colors)
            without_colors += bool(found.ids and not found.colors)
            if found.colors and not found.ids:
                colored.append(printable(path))
    by_color = bool(colored) and not without_colors
    return MaskIds(
        files=files,
        pixels=dict(pixels),
        palette=palette,
        colors=dict(colors) if by_color else {},
        rgb_files=tuple(colored),
    )


def _examine(path: Path, max_pixels: int, table: LabelTable) -> _MaskValues:
    try:
        raw = load_mask(path, table, max_pixels=max_pixels)
    except DataError:
        return _MaskValues()
    if not raw.lossless:
        return _MaskValues()
    if raw.values.ndim == 3:
        return _MaskValues(colors=count_values(color_codes(raw.values)))
    counts = count_values(raw.values if table.divisor is None else semantic_ids(raw.values, table.divisor))
    if raw.grey_rgb:
        # A colour mask may happen to contain only grey colours.
        return _MaskValues(counts, colors={value * 0x010101: pixels for value, pixels in counts.items()})
    palette = raw.palette.tolist() if raw.palette is not None else []
    return _MaskValues(counts, tuple((r, g, b) for r, g, b in palette))


def infer_colors(found: MaskIds) -> tuple[dict[str, int], list[Finding]]:
    """Infer the colour table of RGB masks without one: every colour becomes a class.

    Class ids follow the colour codes, black first, so that they do not depend on how often a colour occurs. A finding
    (W218) states what was assumed.

    Returns:
        `#rrggbb` -> class id, and the findings. The table is empty if there are too many colours for classes or if they
        look like smoothed edges, which the audit then reports for every file (D203, D205).
    """
    total = sum(found.colors.values())
    if not 2 <= len(found.colors) <= _MAX_COLORS or _smoothed(found.colors):
        return {}, []
    codes = sorted(found.colors)
    table = {f"#{code:06x}": class_id for class_id, code in enumerate(codes)}
    shares = ", ".join(f"#{code:06x} ({100 * found.colors[code] / total:.2g} %)" for code in codes[:_NAMED])
    more = f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else ""
    entries = ", ".join(f'"{color}" = {class_id}' for color, class_id in table.items())
    names = ", ".join(f'"{name}"' for name in ("background", *(f"name{i}" for i in range(1, len(codes)))))
    return table, [
        finding(
            "W218",
            f"the masks are RGB images with {len(codes)} colours, each of which becomes a class: {shares}{more}",
            found.rgb_files,
            f"to name the classes, or to ignore a colour (255): 'data.colors={{{entries}}}' 'data.classes=[{names}]'",
        )
    ]


def _smoothed(colors: dict[int, int]) -> bool:
    """Whether several rare colours lie between two frequent ones, as at interpolated edges."""
    total = sum(colors.values())
    rgb = {code: np.array([code >> 16, code >> 8 & 255, code & 255], np.float64) for code in colors}
    frequent = [rgb[code] for code, pixels in colors.items() if pixels >= _RARE * total]
    between = 0
    for code in (code for code, pixels in colors.items() if pixels < _RARE * total):
        for start, end in itertools.combinations(frequent, 2):
            step = end - start
            share = float(np.clip((rgb[code] - start) @ step / (step @ step), 0, 1))
            if np.abs(start + share * step - rgb[code]).max() <= 2:
                between += 1
                break
    return between >= _MANY_BETWEEN


def infer_label_map(ids: MaskIds) -> tuple[dict[int, int], list[Finding]]:
    """Infer the label map of masks whose classes are not named.

    Ids 0..n-1 are classes and 255 is ignored. Masks with only 0 and 255 hold background and object, and a warning says
    so (W217): if 255 meant ignored, there would be nothing to learn. Anything else is an error (D204) that proposes the
    returned map, so that allowing the error accepts the map. Black-and-white masks with grey edges get no map: they
    need a threshold.

    Returns:
        Raw id -> class id, empty if no map makes sense, and the findings.
    """
    found = sorted(set(ids.files) - {IGNORE})
    classes = [raw for raw in found if raw >= 0]
    with_ignore = {IGNORE} & set(ids.files)
    if found == list(range(len(found))) and not (len(found) < 2 and with_ignore):
        return dict.fromkeys(with_ignore, IGNORE) | {i: i for i in found}, []
    files = [ids.files[raw][1] for raw in (found or [IGNORE])]
    first = list(dict.fromkeys(files))
    if found == [0]:
        return {0: 0, IGNORE: 1}, [
            finding(
                "W217",
                "the masks contain only 0 and 255, which are read as background and object",
                first,
                f'to name the classes: {label_map_override({0: 0, IGNORE: 1})} \'data.classes=["background", '
                '"object"]\'; if 255 means ignored, the masks lack a class',
            )
        ]
    if are_smoothed(ids.pixels):
        between = 100 * (1 - (ids.pixels.get(0, 0) + ids.pixels.get(IGNORE, 0)) / sum(ids.pixels.values()))
        return {}, [
            finding(
                "D204",
                f"the masks are black and white with grey edges: {len(ids.files)} different values, {between:.2g} % of "
                "the pixels are neither 0 nor 255",
                first,
                f"{THRESHOLD_HELP}; or export the masks without smoothing",
            )
        ]
    if not classes or len(classes) > _MAX_CLASSES:
        what = f"{len(found)} different ids" if classes else "no class id"
        if not found:
            what = "only 255, which means ignored"
        return {}, [
            finding(
                "D204",
                f"the masks contain {what}; expected class ids 0..n-1",
                first,
                "export masks with class ids; large numbers of ids come from interpolation, photos or instance ids",
            )
        ]
    proposal = compact_map(ids.files)
    return proposal, [
        finding(
            "D204",
            f"the masks contain the ids {describe_ids(ids.files)}; expected 0..{len(classes) - 1} without gaps",
            first,
            f"add {label_map_override(proposal)}, or name the classes in data.classes",
        )
    ]
