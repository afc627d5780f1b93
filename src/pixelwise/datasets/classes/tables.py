"""Class tables: which classes a data set has and how its masks encode them.

Sources, in increasing priority: the known classes of a public data set (CamVid, Cityscapes), the layout's own files
(CVAT's label map), the `dataset.toml` of a custom data set, and the recipe's `data.classes`, `palette`, `label_map`,
`labels` and `colors`. If none of them describes the classes, they are inferred from the masks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.classes.inference import infer_colors, infer_label_map, read_mask_ids
from pixelwise.datasets.classes.names import label_classes
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.labels import LabelTable, format_color, parse_color, table_of
from pixelwise.datasets.layouts.description import DESCRIPTION_FILE
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.reading.mask_values import RawMask, load_mask
from pixelwise.datasets.reading.regions.masks import MaskRegions
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.reading.regions.sizes import refuse_other_sizes
from pixelwise.datasets.samples import Reading, Sample
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.class_sets.tables import CLASS_SETS, IGNORE, Color, voc_color
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.documents import DocumentError, read_toml
from pixelwise.suggestions import did_you_mean

SEEN = 32
"""Smallest difference of the levels in a palette that is used for pictures."""


class ClassTable(msgspec.Struct, frozen=True, kw_only=True):
    """The resolved classes and their encoding in masks; the fields are those of `Dataset`."""

    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    label_table: LabelTable
    problems: tuple[Finding, ...] = ()
    named: bool = True


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """What a data set itself says about its classes, without a recipe.

    Attributes:
        classes: Class names in the order of their ids; None if it names none.
        encoded: Whether it says which mask values or labels belong to which class id.
        naming: Hash of all of this; empty if it says nothing. Equal hashes mean equal statements.
    """

    classes: tuple[str, ...] | None
    encoded: bool
    naming: str


class _Source(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields that one source sets, None for all others; also the schema of `dataset.toml`."""

    classes: tuple[str, ...] | None = None
    palette: tuple[Color | str, ...] | None = None
    label_map: dict[str, int] | None = None
    colors: dict[str, int] | None = None
    labels: dict[str, int] | None = None
    ignore: int | tuple[int, ...] | None = None
    multilabel: bool | None = None


def class_table(data: Data, layout: Layout) -> ClassTable:
    """Classes, palette and label table of the data set in `layout`.

    Raises:
        DataError: D224, `dataset.toml` is invalid.
        RecipeError: R203, the recipe's fields contradict each other or the data set.
    """
    known, described = _own_words(layout)
    recipe = _Source(
        classes=data.classes, palette=data.palette, label_map=data.label_map, colors=data.colors, labels=data.labels
    )
    names = recipe.classes or known.classes
    if layout.multilabel:
        return _of_class_masks(data, layout, _palette(recipe.palette) or _palette(known.palette))
    palette = _palette(recipe.palette) or _palette(known.palette)
    problems: list[Finding] = []
    try:
        if layout.label_names:
            named = label_classes(
                layout.label_names, recipe.classes or described.classes, recipe.labels or known.labels, layout.classes
            )
            names, ids, colors, problems = named.classes, named.ids, {}, list(named.problems)
        else:
            ids, colors = _encoding(recipe, known, names, palette)
        if names is None and not ids and not colors and data.mask_threshold is not None:
            names, ids = ("background", "object"), {0: 0, 1: 1}
        elif names is None and not ids and not colors:
            found = _inferred(data, layout)
            names, ids, colors, problems = found.classes, found.ids, found.colors, list(found.problems)
            palette = palette or found.palette
        label_table = msgspec.structs.replace(
            table_of(ids, colors),
            threshold=data.mask_threshold,
            divisor=data.instance_divisor,
            from_alpha=data.mask_channel == "alpha",
            tolerance=data.mask_tolerance,
        )
    except ValueError as error:
        raise RecipeError("R203", f"data.label_map or data.colors {error}", "see `pixelwise show NAME`") from error
    named = names is not None and not any(problem.code in ("W217", "W218") for problem in problems)
    used = {class_id for class_id in (*label_table.ids.values(), *label_table.colors.values()) if class_id != IGNORE}
    names = names if names is not None else tuple(f"class_{i}" for i in range(max(used, default=-1) + 1))
    if used and max(used) >= len(names):
        raise RecipeError(
            "R203",
            f"{printable(layout.root)}: masks are mapped to class {max(used)}, but {len(names)} classes are named: "
            f"{', '.join(names)}",
            "name every class in data.classes, and map raw ids to them with data.label_map",
        )
    palette = palette if palette is not None and len(palette) == len(names) else _palette_of_colors(colors, len(names))
    palette = palette or _palette_of_masks(data, layout, label_table, len(names))
    return ClassTable(
        classes=names,
        palette=palette or tuple(voc_color(i) for i in range(len(names))),
        label_table=label_table,
        problems=tuple(problems),
        named=named,
    )


def stated(layout: Layout) -> Stated:
    """What the files of a data set say about its classes: a known data set, the layout's own files, `dataset.toml`.

    Raises:
        DataError: D224, `dataset.toml` is invalid.
    """
    known, described = _own_words(layout)
    encoded = any(source is not None for source in (known.label_map, known.colors, known.labels))
    if known == _Source():
        return Stated(classes=None, encoded=False, naming="")
    said = (layout.multilabel, msgspec.to_builtins(known), sorted(layout.label_names.items()))
    return Stated(
        classes=(described.classes or layout.classes) if layout.label_names else known.classes,
        encoded=encoded,
        # Names of folders may hold bytes that are not UTF-8, which JSON writes as escapes.
        naming=sha256_bytes(json.dumps(said, sort_keys=True).encode()),
    )


def _own_words(layout: Layout) -> tuple[_Source, _Source]:
    """What the data set says about its classes: all sources together, and `dataset.toml` alone."""
    known = _known(layout)
    if layout.name in CLASS_SETS:
        return known, _Source()
    described = _read_description(layout.description_folder / DESCRIPTION_FILE)
    return _over(known, described), described


def _of_class_masks(data: Data, layout: Layout, palette: tuple[Color, ...] | None) -> ClassTable:
    """Class table of multi-label data: the layout names the classes, so no mask is read."""
    names = layout.classes or ()
    # VOC's first colour, black, stands for the background, which overlapping classes do not have.
    own = tuple(voc_color(i + 1) for i in range(len(names)))
    return ClassTable(
        classes=names,
        palette=palette if palette is not None and len(palette) == len(names) else own,
        label_table=LabelTable(threshold=data.mask_threshold, from_alpha=data.mask_channel == "alpha"),
    )


def described_classes(root: Path) -> tuple[tuple[str, ...] | None, bool | None]:
    """`classes` and `multilabel` of `dataset.toml`; None for a field that is not set.

    Raises:
        DataError: D224, the file is invalid.
    """
    described = _read_description(root / DESCRIPTION_FILE)
    return described.classes, described.multilabel


class _Inferred(NamedTuple):
    classes: tuple[str, ...] | None
    ids: dict[int, int]
    colors: dict[str, int]
    palette: tuple[Color, ...] | None
    problems: list[Finding]


def _inferred(data: Data, layout: Layout) -> _Inferred:
    """Infer classes that no source describes from the ids of the masks, or from the colours of RGB masks."""
    found = read_mask_ids(
        layout.root,
        [sample for sample, _ in _each_mask(layout)],
        Reading.of(data),
        divisor=data.instance_divisor,
        from_alpha=data.mask_channel == "alpha",
    )
    if found.colors:
        colors, problems = infer_colors(found, data.mask_tolerance)
        if colors:
            return _Inferred(tuple(colors), {}, colors, tuple(parse_color(color) for color in colors), problems)
    ids, problems = infer_label_map(found, data.mask_tolerance)
    classes = ("background", "object") if any(problem.code == "W217" for problem in problems) else None
    return _Inferred(classes, ids, {}, _palette_of_ids(ids, found.palette), problems)


def _encoding(
    recipe: _Source, known: _Source, names: tuple[str, ...] | None, palette: tuple[Color, ...] | None
) -> tuple[dict[int, int], dict[str, int]]:
    """Raw id -> class id and colour -> class id; both are empty if no source describes them."""
    if recipe.colors is not None and recipe.label_map is None:
        return {}, recipe.colors
    source = recipe if recipe.label_map is not None else known
    label_map = source.label_map
    # A new label map gives the class ids a new meaning, so known colours no longer fit.
    colors = recipe.colors or (known.colors if recipe.label_map is None else None) or {}
    if label_map is None:
        if colors or names is None:
            return {}, colors
        label_map = {str(i): i for i in range(len(names))}
    if not colors and recipe.label_map is None and palette is not None and len(names or palette) == len(palette):
        # A palette gives the colour of each class, so it can decode RGB masks as well.
        colors = {format_color(color): i for i, color in enumerate(palette)}
    ignored = (known.ignore,) if isinstance(known.ignore, int) else known.ignore or ()
    return dict.fromkeys(ignored, IGNORE) | {int(raw): class_id for raw, class_id in label_map.items()}, colors


def _known(layout: Layout) -> _Source:
    """The classes that the data set's name implies, overridden by those of the layout's own files."""
    class_set = CLASS_SETS.get(layout.name)
    source = _Source()
    if class_set is not None:
        source = _Source(
            classes=class_set.names,
            palette=class_set.palette,
            label_map={str(raw): class_id for raw, class_id in class_set.label_table.items()},
            colors=class_set.color_table(),
        )
    own = layout.label_map
    return _over(
        source,
        _Source(
            classes=layout.classes,
            palette=layout.palette,
            label_map=None if own is None else {str(raw): class_id for raw, class_id in own.items()},
            colors=layout.colors,
        ),
    )


def _over(source: _Source, stronger: _Source) -> _Source:
    """`source`, overridden by every field that `stronger` sets."""
    filled = {name: value for name in _Source.__struct_fields__ if (value := getattr(stronger, name)) is not None}
    return msgspec.structs.replace(source, **filled)


def _read_description(file: Path) -> _Source:
    if not os.path.lexists(file):
        return _Source()
    help = 'for example: classes = ["background", "road"], palette = ["#000000", "#804080"], ignore = 255'
    try:
        plain = read_toml(file)
    except DocumentError as error:
        raise DataError("D224", error.message, help) from error
    fields = _Source.__struct_fields__
    for key in plain:
        if key not in fields:
            raise DataError(
                "D224",
                f"{printable(file)}: unknown key '{printable(key)}'{did_you_mean(key, fields)}",
                f"keys: {', '.join(fields)}",
            )
    try:
        source = msgspec.convert(plain, _Source)
        _palette(source.palette)
        if source.classes and source.palette and len(source.classes) != len(source.palette):
            raise ValueError(f"{len(source.classes)} classes but {len(source.palette)} palette colours")
        for raw in source.label_map or {}:
            int(raw)
        if source.multilabel and (source.label_map or source.colors or source.labels or source.ignore is not None):
            raise ValueError("multilabel excludes label_map, colors, labels and ignore")
    except ValueError as error:
        raise DataError("D224", f"{printable(file)}: {error}", help) from error
    return source


def _palette(palette: tuple[Color | str, ...] | None) -> tuple[Color, ...] | None:
    if palette is None:
        return None
    return tuple(parse_color(color) if isinstance(color, str) else color for color in palette)


def _palette_of_colors(colors: dict[str, int], number: int) -> tuple[Color, ...] | None:
    """One colour per class, the first that means it; None if a class has none."""
    first: dict[int, Color] = {}
    for text, class_id in colors.items():
        first.setdefault(class_id, parse_color(text))
    return tuple(first[i] for i in range(number)) if set(range(number)) <= set(first) else None


def _palette_of_masks(data: Data, layout: Layout, label_table: LabelTable, number: int) -> tuple[Color, ...] | None:
    """One colour per class, from the palette of the first readable mask; None if it has none or lacks a class."""
    if label_table.threshold is not None or label_table.divisor is not None:
        return None  # the classes are not values of the masks
    for sample, path in _each_mask(layout):
        try:
            raw = _some_of(sample, path, label_table, data)
        except DataError:  # of which the audit tells
            continue
        ids = label_table.ids or {i: i for i in range(number)}
        colors = [] if raw.palette is None else raw.palette.tolist()
        found = _palette_of_ids(ids, tuple((r, g, b) for r, g, b in colors))
        return found if found is not None and len(found) == number else None
    return None


def _some_of(sample: Sample, path: Path, table: LabelTable, data: Data) -> RawMask:
    """The mask of a sample, or a pixel of one that is too large to be decoded whole, with its palette.

    Raises:
        DataError: The mask cannot be read.
    """
    try:
        return load_mask(path, table, max_pixels=data.max_pixels)
    except DataError as error:
        if error.code != "D120":
            raise
        refuse_other_sizes(sample, Reading.of(data))
        with MaskRegions(path, table, Reading.of(data)) as mask:
            return mask.raw(Rectangle(0, 0, 1, 1))


def _each_mask(layout: Layout) -> Iterator[tuple[Sample, Path]]:
    """Each sample that has a mask, with the mask."""
    return ((s, s.mask_path) for samples in layout.splits.values() for s in samples if s.mask_path is not None)


def _palette_of_ids(ids: dict[int, int], palette: tuple[Color, ...]) -> tuple[Color, ...] | None:
    """One colour per class, that of its first value in the palette of the masks; None if they have none.

    A palette whose colours the eye cannot tell apart, such as grey levels 0, 1, 2 for ids 0, 1, 2, says nothing either.
    """
    first: dict[int, int] = {}
    for raw, class_id in sorted(ids.items()):
        if class_id != IGNORE:
            first.setdefault(class_id, raw)
    if not palette or any(not 0 <= raw < len(palette) for raw in first.values()):
        return None
    found = tuple(palette[first[class_id]] for class_id in sorted(first))
    levels = [level for color in found for level in color]
    told_apart = len(set(found)) == len(found) and max(levels, default=0) - min(levels, default=0) >= SEEN
    return found if told_apart else None
