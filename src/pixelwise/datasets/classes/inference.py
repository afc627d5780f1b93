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

from pixelwise.datasets.classes.resampling import (
    MOST_CLASSES,
    Disturbed,
    disturbed_colors,
    disturbed_finding,
    disturbed_ids,
)
from pixelwise.datasets.classes.strays import strays
from pixelwise.datasets.explanations import (
    THRESHOLD_HELP,
    are_smoothed,
    colors_override,
    compact_map,
    describe_ids,
    in_files,
    label_map_override,
    percent,
)
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.fingerprint import stat_signature
from pixelwise.datasets.labels import LabelTable, color_codes, count_values, semantic_ids
from pixelwise.datasets.reading.areas import Areas, measure
from pixelwise.datasets.reading.masks import load_mask
from pixelwise.datasets.reading.regions.masks import MaskRegions
from pixelwise.datasets.reading.regions.measuring import measure_mask
from pixelwise.datasets.reading.regions.sizes import refuse_other_sizes
from pixelwise.datasets.samples import Reading, Sample
from pixelwise.errors import DataError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.storage import printable, remembered, sha256_bytes
from pixelwise.storage.cache_kinds import MASK_IDS
from pixelwise.storage.caches import subject_of
from pixelwise.storage.names import some

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
        color_files: Like `files`, for the colours.
        rgb_files: Printable names of the RGB masks that are not grey.
        masks: Number of masks that hold ids or colours.
        disturbed: The real values, if the masks were resized with interpolation or disturbed otherwise.
        disturbed_files: Printable names of the masks that hold other values.
    """

    files: dict[int, tuple[int, str]]
    pixels: dict[int, int] = {}
    palette: tuple[Color, ...] = ()
    colors: dict[int, int] = {}
    color_files: dict[int, tuple[int, str]] = {}
    rgb_files: tuple[str, ...] = ()
    masks: int = 0
    disturbed: Disturbed | None = None
    disturbed_files: tuple[str, ...] = ()


class _MaskValues(NamedTuple):
    """Values of one mask with their pixel counts; `colors` for RGB images only, grey ones included."""

    ids: Mapping[int, int] = MappingProxyType({})
    palette: tuple[Color, ...] = ()
    colors: Mapping[int, int] = MappingProxyType({})
    areas: Areas = Areas()


def read_mask_ids(
    root: Path, samples: Sequence[Sample], reading: Reading, *, divisor: int | None = None, from_alpha: bool = False
) -> MaskIds:
    """Decode all masks and collect their raw ids; unreadable and lossy masks are left to the audit.

    So are masks of another size than their image that would have to be stored in tiles first. The result is cached in
    the user's cache folder until an image or a mask changes.

    Args:
        root: Folder of the data set.
        samples: The pairs.
        reading: Reading options; masks of more than `max_pixels` are read in parts.
        divisor: `data.instance_divisor`, for masks of class * divisor + instance; None for all others.
        from_alpha: Whether the ids are in the alpha channel of the masks.
    """
    table = LabelTable(divisor=divisor, from_alpha=from_alpha)
    source = ("alpha",) if from_alpha else ()
    masks = [(sample, sample.mask_path) for sample in samples if sample.mask_path is not None]
    files = stat_signature(path for sample, mask in masks for path in (mask, sample.image_path))
    options = f"{reading.max_pixels} {reading.exif} {source}"
    return remembered(
        MASK_IDS,
        f"{sha256_bytes(f'{files} {options}'.encode())[:20]}-{divisor or 0}",
        MaskIds,
        lambda: _read_mask_ids(masks, reading, table),
        subject=subject_of(root.absolute(), divisor, *source),
    )


def _read_mask_ids(masks: Sequence[tuple[Sample, Path]], reading: Reading, table: LabelTable) -> MaskIds:
    files: dict[int, tuple[int, str]] = {}
    pixels: Counter[int] = Counter()
    palette: tuple[Color, ...] = ()
    colors: Counter[int] = Counter()
    color_files: dict[int, tuple[int, str]] = {}
    colored: list[str] = []
    areas: list[tuple[str, Areas]] = []
    without_colors = 0
    with thread_pool(reading_threads()) as pool:
        contents = pool.map(lambda pair: _examine(pair[0], pair[1], reading, table), masks)
        for (_, path), found in zip(masks, contents, strict=True):
            palette = palette or found.palette
            if len(files) > _MAX_IDS:
                break  # not class ids but other integers; more of them would tell nothing new
            pixels.update(found.ids)
            _note(files, found.ids, path)
            if len(colors) <= _MAX_IDS:
                colors.update(found.colors)
                _note(color_files, found.colors, path)
            if found.areas.pixels:
                areas.append((printable(path), found.areas))
            without_colors += bool(found.ids and not found.colors)
            if found.colors and not found.ids:
                colored.append(printable(path))
    by_color = bool(colored) and not without_colors
    measured = [one for _, one in areas]
    disturbed = (disturbed_colors if by_color else disturbed_ids)(measured)
    return MaskIds(
        files=files,
        pixels=dict(pixels),
        palette=palette,
        colors=dict(colors) if by_color else {},
        color_files=color_files if by_color else {},
        rgb_files=tuple(colored),
        masks=len(areas),
        disturbed=disturbed,
        disturbed_files=tuple(areas[i][0] for i in disturbed.masks) if disturbed else (),
    )


def _note(files: dict[int, tuple[int, str]], values: Mapping[int, int], path: Path) -> None:
    for value in values:
        count, first = files.get(value, (0, printable(path)))
        files[value] = (count + 1, first)


def _examine(sample: Sample, path: Path, reading: Reading, table: LabelTable) -> _MaskValues:
    try:
        raw = load_mask(path, table, max_pixels=reading.max_pixels)
    except DataError as error:
        return _examine_in_parts(sample, path, reading, table) if error.code == "D120" else _MaskValues()
    if not raw.lossless:
        return _MaskValues()
    ids = raw.values if table.divisor is None or raw.values.ndim == 3 else semantic_ids(raw.values, table.divisor)
    areas = measure(ids)
    if raw.values.ndim == 3:
        return _MaskValues(colors=count_values(color_codes(raw.values)), areas=areas)
    counts = count_values(ids)
    if raw.grey_rgb and raw.values.dtype == np.uint8:
        # A colour mask may happen to contain only grey colours.
        grey = {value * 0x010101: pixels for value, pixels in counts.items()}
        return _MaskValues(counts, colors=grey, areas=areas)
    palette = raw.palette.tolist() if raw.palette is not None else []
    return _MaskValues(counts, tuple((r, g, b) for r, g, b in palette), areas=areas)


def _examine_in_parts(sample: Sample, path: Path, reading: Reading, table: LabelTable) -> _MaskValues:
    """As `_examine`, of a mask that is too large to be decoded whole."""
    try:
        refuse_other_sizes(sample, reading)
        with MaskRegions(path, table, reading) as mask:
            found = measure_mask(mask, table, semantic=True)
    except DataError:
        return _MaskValues()
    raw = found.first
    if not raw.lossless:
        return _MaskValues()
    if raw.values.ndim == 3:
        return _MaskValues(colors=found.values, areas=found.areas)
    if raw.grey_rgb:
        grey = {value * 0x010101: pixels for value, pixels in found.values.items()}
        return _MaskValues(found.values, colors=grey, areas=found.areas)
    palette = raw.palette.tolist() if raw.palette is not None else []
    return _MaskValues(found.values, tuple((r, g, b) for r, g, b in palette), areas=found.areas)


def infer_colors(found: MaskIds, tolerance: int | None = None) -> tuple[dict[str, int], list[Finding]]:
    """Infer the colour table of RGB masks without one: every colour becomes a class.

    Class ids follow the colour codes, black first, so that they do not depend on how often a colour occurs. A finding
    (W218) states what was assumed. Colours of a few pixels in a few masks are ignored; that is an error (D204).

    Args:
        found: The colours of the masks.
        tolerance: `data.mask_tolerance`, with which disturbed masks are read by their real colours.

    Returns:
        `#rrggbb` -> class id, and the findings. The table is empty if there are too many colours for classes or if they
        look like smoothed edges or noise, which the audit then reports (D260, D203, D205).
    """
    total = sum(found.colors.values())
    if found.disturbed is not None and tolerance is not None:
        return {f"#{code:06x}": class_id for class_id, code in enumerate(found.disturbed.real)}, []
    if not 2 <= len(found.colors) <= _MAX_COLORS or found.disturbed is not None or _smoothed(found.colors):
        return {}, []
    odd = strays(found.colors, found.color_files, found.masks)
    codes = sorted(set(found.colors) - set(odd))
    table = {code: class_id for class_id, code in enumerate(codes)} | dict.fromkeys(odd, IGNORE)
    named = {f"#{code:06x}": class_id for code, class_id in table.items()}
    if odd:
        where = ", ".join(in_files(f"#{code:06x}", found.colors[code], *found.color_files[code]) for code in odd)
        return named, [
            finding(
                "D204",
                f"the masks are RGB images with {len(codes)} colours and stray pixels: {where}",
                [found.color_files[code][1] for code in odd],
                f"to ignore them: {colors_override(table)}; if they are a class, give its colour the id {len(codes)}",
            )
        ]
    shares = some([f"#{code:06x} ({percent(found.colors[code] / total)})" for code in codes], _NAMED)
    names = ", ".join(f'"{name}"' for name in ("background", *(f"name{i}" for i in range(1, len(codes)))))
    return named, [
        finding(
            "W218",
            f"the masks are RGB images with {len(codes)} colours, each of which becomes a class: {shares}",
            found.rgb_files,
            f"to name the classes, or to ignore a colour (255): {colors_override(table)} 'data.classes=[{names}]'",
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


def infer_label_map(ids: MaskIds, tolerance: int | None = None) -> tuple[dict[int, int], list[Finding]]:
    """Infer the label map of masks whose classes are not named.

    Ids 0..n-1 are classes and 255 is ignored. Masks with only 0 and 255 hold background and object, and a warning says
    so (W217): if 255 meant ignored, there would be nothing to learn. Anything else is an error (D204) that proposes the
    returned map, so that allowing the error accepts the map. Black-and-white masks with grey edges get no map: they
    need a threshold. Masks that were resized with interpolation get the map of their real values (D260), and more ids
    than anyone leaves without names are an error (D264).

    Args:
        ids: The ids of the masks.
        tolerance: `data.mask_tolerance`, with which such masks are accepted.

    Returns:
        Raw id -> class id, empty if no map makes sense, and the findings.
    """
    found = sorted(set(ids.files) - {IGNORE})
    classes = [raw for raw in found if raw >= 0]
    with_ignore = {IGNORE} & set(ids.files)
    smoothed = are_smoothed(ids.pixels)
    if ids.disturbed is not None and not ids.colors and not smoothed:
        problem = disturbed_finding(ids.disturbed, ids.disturbed_files)
        return compact_map(ids.disturbed.real), [problem] if tolerance is None else []
    if found == list(range(len(found))) and not (len(found) < 2 and with_ignore):
        mapping = dict.fromkeys(with_ignore, IGNORE) | {i: i for i in found}
        return mapping, _too_many(ids, found) or _rare_ids(ids, found)
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
    if smoothed:
        between = 1 - (ids.pixels.get(0, 0) + ids.pixels.get(IGNORE, 0)) / sum(ids.pixels.values())
        return {}, [
            finding(
                "D204",
                f"the masks are black and white with grey edges: {len(ids.files)} different values, {percent(between)} "
                "of the pixels are neither 0 nor 255",
                first,
                f"{THRESHOLD_HELP}; or export the masks without smoothing",
            )
        ]
    if not classes or len(classes) > _MAX_CLASSES:
        what = f"{len(found)} different ids" if classes else "no class id" if found else "only 255, which means ignored"
        return {}, [
            finding(
                "D204",
                f"the masks contain {what}; expected class ids 0..n-1",
                first,
                "export masks with class ids; large numbers of ids come from interpolation, photos or instance ids",
            )
        ]
    return _with_gaps(ids, found)


def _with_gaps(ids: MaskIds, found: Sequence[int]) -> tuple[dict[int, int], list[Finding]]:
    """The map that closes the gaps of the ids, except for those of a few pixels in a few masks, which are ignored."""
    odd = strays(ids.pixels, ids.files, ids.masks)
    kept = [raw for raw in found if raw >= 0 and raw not in odd]
    mapping = {**compact_map(set(ids.files) - set(odd)), **dict.fromkeys(odd, IGNORE)}
    expected = next((i for i, raw in enumerate(kept) if i != raw), len(kept))
    unexpected = odd or [*(raw for raw in found if raw < 0), *kept[expected:]]
    files = list(dict.fromkeys(ids.files[raw][1] for raw in unexpected))
    message = f"the masks contain the ids {describe_ids(ids.files)}; expected 0..{len(kept) - 1} without gaps"
    fix = f"add {label_map_override(mapping)}, or name the classes in data.classes"
    if mapping.get(IGNORE, IGNORE) != IGNORE:
        fix = f"add {label_map_override(mapping)}, which reads the grey levels as classes; if 255 means ignored, write "
        fix += "255 = 255 there"
    if odd:
        few = ", ".join(in_files(raw, ids.pixels[raw], *ids.files[raw]) for raw in odd)
        message = (
            f"a few pixels of the masks have stray ids: {few}; all others are {describe_ids(set(ids.files) - set(odd))}"
        )
        said = "these stray pixels" if len(odd) == 1 else "these stray values"
        fix = (
            f"add {label_map_override(mapping)}, which ignores {said}; if it is a class, map it to {len(kept)} instead"
        )
    return mapping, _too_many(ids, kept) or [finding("D204", message, files, fix)]


def _too_many(ids: MaskIds, found: Sequence[int]) -> list[Finding]:
    """D264 for more ids than anyone leaves without names."""
    if len(found) <= MOST_CLASSES:
        return []
    return [
        finding(
            "D264",
            f"the masks contain {len(found)} different ids ({describe_ids(ids.files)}), but no classes are named; so "
            "many are rather instances, grey values or traces of interpolation",
            list(dict.fromkeys(ids.files[raw][1] for raw in found[MOST_CLASSES:])),
            "export class ids; if these are classes, name them in data.classes, or accept the ids as they are: "
            "'data.allow=[\"D264\"]'",
        )
    ]


def _rare_ids(ids: MaskIds, found: Sequence[int]) -> list[Finding]:
    """W263 for ids without a gap that hardly any pixel has."""
    odd = [raw for raw in strays(ids.pixels, ids.files, ids.masks) if raw >= 2]
    # Only the last ids: without one in the middle, the others would change their meaning.
    odd = [raw for raw in odd if set(range(raw, len(found))) <= set(odd)]
    if not odd:
        return []
    mapping = {**{raw: raw for raw in found}, **dict.fromkeys(odd, IGNORE), IGNORE: IGNORE}
    where = ", ".join(in_files(raw, ids.pixels[raw], *ids.files[raw]) for raw in odd)
    return [
        finding(
            "W263",
            f"hardly any pixel has the last ids: {where}",
            list(dict.fromkeys(ids.files[raw][1] for raw in odd)),
            f"if these are stray pixels, ignore them: {label_map_override(mapping)}",
        )
    ]
