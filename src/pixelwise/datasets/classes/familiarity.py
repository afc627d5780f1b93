"""Whether the masks of a folder are those of the public data set whose file names it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pixelwise.datasets.classes.tables import class_table
from pixelwise.datasets.explanations import describe_values, percent
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.reading.masks import load_mask, translate
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import CLASS_SETS, IGNORE
from pixelwise.recipes.schema.data import Data

_SAMPLED = 12
# Fewer masks, or less of them, may hold few of the classes by chance.
_FEWEST_MASKS, _FEWEST_PIXELS = 8, 20_000
_MOST_EXPECTED = 6
_UNKNOWN = 0.01
# Twelve of CamVid's masks, even neighbouring ones, differ by at most 0.79; other orders of its classes by 1.2.
_LARGEST_DIFFERENCE = 0.8


def unlike(layout: Layout) -> str:
    """What speaks against the masks being those of the data set, in words; empty if nothing does.

    A few masks are decoded. Values without a meaning, few of the classes and shares of the classes that are far from
    the data set's speak against it; masks that cannot be read say nothing.

    Args:
        layout: A layout whose name is that of a known data set.
    """
    known = CLASS_SETS[layout.name]
    table = class_table(Data(dataset=layout.name), layout).label_table
    counts, unknown, foreign, read = np.zeros(256, np.int64), 0, dict[int, int](), 0
    for path in _sampled(layout):
        try:
            raw = load_mask(path, table, max_pixels=Data().max_pixels)
        except DataError:
            continue
        translation = translate(raw, table)
        if not raw.lossless or (raw.values.ndim == 3 and not table.colors):
            continue
        found = translation.unknown_ids or translation.unknown_colors
        unknown += sum(found.values()) > _UNKNOWN * translation.labels.size
        foreign |= found
        counts += np.bincount(translation.labels.ravel(), minlength=256)
        read += 1
    if 2 * unknown > read:
        colored = max(foreign) > 65535
        values = sorted(foreign, key=lambda value: -foreign[value])[:_MOST_EXPECTED]
        kind = "colours" if colored else "ids"
        return f"{unknown} of {read} masks hold other {kind}: {describe_values(values, colors=colored)}"
    labelled = counts[:IGNORE]
    if read < _FEWEST_MASKS or counts.sum() < _FEWEST_PIXELS or not labelled.sum():
        return ""
    present, number = int(np.count_nonzero(labelled)), len(known.names)
    if present < min(_MOST_EXPECTED, -(-number // 3)):
        return f"{read} masks hold {present} of {number} classes"
    return _other_shares(labelled / labelled.sum(), known.names, known.shares)


def _other_shares(shares: np.ndarray, names: Sequence[str], usual: Sequence[float]) -> str:
    if not usual:
        return ""
    differences = shares[: len(usual)] - np.array(usual)
    if np.abs(differences).sum() <= _LARGEST_DIFFERENCE:
        return ""
    worst = int(np.abs(differences).argmax())
    return f"{percent(float(shares[worst]))} of the pixels would be {names[worst]}, instead of {percent(usual[worst])}"


def _sampled(layout: Layout) -> list[Path]:
    def masks() -> Iterator[Path]:
        return (s.mask_path for samples in layout.splits.values() for s in samples if s.mask_path is not None)

    total = sum(1 for _ in masks())
    number = min(_SAMPLED, total)
    chosen = {(2 * index + 1) * total // (2 * number) for index in range(number)}
    return [path for place, path in enumerate(masks()) if place in chosen]
