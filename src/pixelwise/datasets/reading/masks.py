"""Reading of masks: translation of their values to class ids by the label table, and errors for invalid masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.explanations import (
    describe_counts,
    describe_ids,
    explain_colors_without_table,
    explain_lossy,
    explain_unknown_colors,
    explain_unknown_ids,
)
from pixelwise.datasets.labels import LabelTable, color_codes, count_values, presence
from pixelwise.datasets.reading.fitting import fit_labels, rotation_error
from pixelwise.datasets.reading.images import ImageFacts
from pixelwise.datasets.reading.mask_values import RawMask, load_mask
from pixelwise.datasets.reading.tolerance import snap_colors, snap_ids
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import IGNORE_BIT
from pixelwise.storage import printable


class Translation(NamedTuple):
    """A mask translated to class ids, and the values that are not in the label table.

    Attributes:
        labels: uint8 (H, W) class ids with 255 = ignored.
        unknown_ids: Raw value that is not in the label table -> number of pixels.
        unknown_colors: Colour `0xrrggbb` that is not in the label table -> number of pixels.
    """

    labels: np.ndarray
    unknown_ids: dict[int, int]
    unknown_colors: dict[int, int]


class MaskCounts(NamedTuple):
    """What has to be counted in a mask to tell whether its values are valid.

    Attributes:
        encoding: Storage format in words, as in `RawMask`.
        lossless: Whether the file format keeps every value exactly.
        size: (height, width).
        values: Computes raw value -> number of pixels, the most frequent first; colours are `0xrrggbb`.
        colored: Whether the values are colours.
        unknown: The values that are not in the label table -> number of pixels.
    """

    encoding: str
    lossless: bool
    size: tuple[int, int]
    values: Callable[[], dict[int, int]]
    colored: bool
    unknown: dict[int, int]


class ClassLabels(NamedTuple):
    """The masks of all classes of one image, combined.

    Attributes:
        labels: int32 (H, W), bit k is class k, `IGNORE_BIT` alone where ignored; None if a mask is invalid.
        errors: Invalid masks with their errors.
        encoding: Storage format of the first mask, as in `RawMask`.
    """

    labels: np.ndarray | None
    errors: list[tuple[Path, DataError]]
    encoding: str


def read_class_masks(
    sample: Sample, dataset: Dataset, size: tuple[int, int] | None, facts: ImageFacts | None = None
) -> ClassLabels:
    """Read the masks of multi-label data as one bit field, collecting the errors of all masks.

    Args:
        sample: A sample of `dataset`; a class without a mask is absent.
        dataset: Data set whose label table and reading options are used.
        size: (height, width) of the image; None takes that of the first mask.
        facts: Facts about the image, if it was read; its orientation can explain a different size.
    """
    errors: list[tuple[Path, DataError]] = []
    labels, ignored, encoding = None if size is None else np.zeros(size, np.int32), None, ""
    for bit, path in enumerate((*sample.class_masks, sample.ignore_mask)):
        if path is None:
            continue
        try:
            raw = load_mask(path, dataset.label_table, max_pixels=dataset.reading.max_pixels, exif=dataset.reading.exif)
            encoding = encoding or raw.encoding
            present = presence_in(path, raw, dataset.label_table.threshold)
            labels = np.zeros(present.shape, np.int32) if labels is None else labels
            named = msgspec.structs.replace(sample, mask_path=path)
            if facts is not None and (
                error := rotation_error(named, labels.shape, present.shape, facts.orientation, dataset.reading)
            ):
                raise error
            present = fit_labels(present, labels.shape, path, dataset.reading)
        except DataError as error:
            errors.append((path, error))
            continue
        if bit == len(sample.class_masks):
            ignored = present
        else:
            np.bitwise_or(labels, 1 << bit, out=labels, where=present)
    if labels is not None and ignored is not None:
        labels[ignored] = IGNORE_BIT
    return ClassLabels(None if errors else labels, errors, encoding)


def valid_labels(found: ClassLabels) -> np.ndarray:
    """The labels, if all masks are valid.

    Raises:
        DataError: Error of the first invalid mask.
    """
    if found.labels is None:
        raise found.errors[0][1]
    return found.labels


def presence_in(path: Path, raw: RawMask, threshold: int | None) -> np.ndarray:
    """The pixels where the mask of one class, or a part of it, is not black: bool (H, W).

    Args:
        path: The mask, for messages.
        raw: Its values.
        threshold: Values from the threshold on mark the class; None: only black and white are allowed.

    Raises:
        DataError: D202 more than two values, D203 a lossy format, D205 colours.
    """
    present, unknown = (raw.values, {}) if raw.values.ndim == 3 else presence(raw.values, threshold)
    error = class_mask_error(path, raw, unknown, threshold)
    if error is not None:
        raise error
    return present


def class_mask_error(path: Path, raw: RawMask, unknown: dict[int, int], threshold: int | None) -> DataError | None:
    """D202, D203 or D205 for an invalid mask of one class, else None.

    Args:
        path: The mask, for messages.
        raw: Its values, or those of a part of it.
        unknown: The values that are neither black nor white -> number of pixels.
        threshold: Values from the threshold on mark the class; None: only black and white are allowed.
    """
    where, help = printable(path), "export it as a PNG with 0 and 255, or set a threshold: data.mask_threshold=128"
    if threshold is None and not raw.lossless:
        return DataError(
            "D203", f"{where}: the mask is a {raw.encoding} file, whose lossy compression blurs black and white", help
        )
    if raw.values.ndim == 3:
        return DataError("D205", f"{where}: the mask of one class is an RGB image; expected black and white", help)
    if unknown:
        return DataError(
            "D202",
            f"{where}: mask contains {describe_counts(unknown)}; expected 0 and 255, or 0 and 1, in the mask of one "
            "class",
            help,
        )
    return None


def no_mask(image: Path) -> DataError:
    """D220: an image has no mask."""
    return DataError("D220", f"{printable(image)}: the image has no mask", "add the mask, or leave the image out")


def is_snapped(raw: RawMask, table: LabelTable) -> bool:
    """Whether values of a mask take the class of the nearest named one, so that their surroundings decide, too."""
    return table.tolerance is not None and bool(table.ids if raw.values.ndim == 2 else table.colors)


def translate(raw: RawMask, table: LabelTable) -> Translation:
    """Translate a decoded mask to class ids. An RGB mask without a colour table becomes ignored everywhere."""
    if raw.values.ndim == 2:
        if table.tolerance is not None and table.ids:
            labels, unknown = snap_ids(raw.values, table, table.tolerance)
        else:
            labels, unknown = table.map_ids(raw.values)
        return Translation(labels, unknown, {})
    if table.tolerance is not None and table.colors:
        labels, unknown = snap_colors(raw.values, table, table.tolerance)
    else:
        labels, unknown = table.map_colors(raw.values) if table.colors else _all_unknown(raw.values)
    return Translation(labels, {}, unknown)


def mask_error(
    path: Path, raw: RawMask, translation: Translation, table: LabelTable, num_classes: int
) -> DataError | None:
    """D202, D203 or D205 for a mask with invalid values, else None; see `values_error`."""
    colored = raw.values.ndim == 3
    counts = MaskCounts(
        raw.encoding,
        raw.lossless,
        (raw.values.shape[0], raw.values.shape[1]),
        lambda: count_values(color_codes(raw.values) if colored else raw.values),
        colored,
        translation.unknown_colors if colored else translation.unknown_ids,
    )
    return values_error(path, counts, table, num_classes)


def values_error(path: Path, found: MaskCounts, table: LabelTable, num_classes: int) -> DataError | None:
    """D202, D203 or D205 for a mask with invalid values, else None.

    Args:
        path: The mask, for messages.
        found: What was counted in it.
        table: Label table of the data set.
        num_classes: Number of classes of the data set.
    """
    where, (height, width), unknown = printable(path), found.size, found.unknown
    if not found.lossless and table.threshold is None and table.tolerance is None:
        return DataError(
            "D203",
            f"{where}: the mask is stored as {found.encoding}, whose compression changes class ids at every edge; "
            f"{100 * sum(unknown.values()) / (height * width):.3g} % of the pixels have values outside the label table",
            explain_lossy({} if found.colored else found.values()),
        )
    if not unknown:
        return None
    if not found.colored:
        return DataError(
            "D202",
            f"{where}: mask contains {describe_counts(unknown)}; expected {describe_ids(table.ids)}",
            explain_unknown_ids(unknown, found.values(), num_classes, table.ids),
        )
    if not table.colors:
        clause, help = explain_colors_without_table(unknown, num_classes)
        return DataError(
            "D205",
            f"{where}: the mask is an RGB image ({height}x{width}x3) with {len(unknown)} colours; expected one channel "
            f"of class ids, or a colour table; {clause}",
            help,
        )
    clause, help = explain_unknown_colors(unknown, height * width, len(found.values()))
    return DataError("D203", f"{where}: {clause}", help)


def _all_unknown(rgb: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
    codes = color_codes(rgb)
    return np.full(codes.shape, 255, np.uint8), count_values(codes)
