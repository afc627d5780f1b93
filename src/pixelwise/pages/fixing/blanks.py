"""The mask that an image without one begins with: nothing is labelled, stored as the data set's other masks are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import PixelwiseError
from pixelwise.pages.fixing.masks import MOST_PIXELS, Mask, Uneditable, filled, open_mask, refusal
from pixelwise.pages.fixing.png import GREY, PALETTE, RGB, Coding, NotPlain, coding_of, encoded
from pixelwise.prediction.overlays import background_of, color_table
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage.stores.members import Member

_LOOKED_AT = 16
"""Masks that are asked how they are stored. If none of them is a PNG file that can be edited, the table is asked."""
_KEPT = (b"PLTE", b"tRNS")


def blank_mask(photo: Path, path: Path, dataset: Dataset) -> Mask:
    """The mask of an image that has none.

    All pixels are ignored; in data that ignores none they are background, or else of the first class.

    Args:
        photo: The image, whose upright size the mask gets.
        path: Where the mask will be.
        dataset: Its data set.

    Raises:
        Uneditable: Masks of this data set, or of this size, are not edited.
        PixelwiseError: The image cannot be read.
    """
    refused = refusal(dataset)
    if refused:
        raise Uneditable(refused)
    most = min(dataset.reading.max_pixels, MOST_PIXELS)
    size = read_image(photo, msgspec.structs.replace(dataset.reading, max_pixels=most)).shape[:2]
    coding = next(_codings_of(path, dataset), None) or _coding_by_table(dataset)
    probe = open_mask(encoded(coding, np.zeros((1, 1), np.uint8)), path, dataset)
    background = background_of(dataset.classes)
    wanted = (IGNORE, 0 if background is None else background)
    value = next((probe.paints[one] for one in wanted if one in probe.paints), None)
    if value is None or not any(class_id in probe.paints for class_id in range(len(dataset.classes))):
        raise Uneditable("No PNG file of up to 16 bits holds the values of the classes. Draw the first mask elsewhere.")
    return filled(probe, (size[0], size[1]), value, path, dataset)


def _codings_of(path: Path, dataset: Dataset) -> Iterator[Coding]:
    """How existing masks are stored, beginning with those of the same folder."""
    existing = [
        sample.mask_path
        for samples in dataset.splits.values()
        for sample in islice(samples, _LOOKED_AT)
        if sample.mask_path is not None and not isinstance(sample.mask_path, Member)
    ]
    for mask in sorted(existing, key=lambda one: one.parent != path.parent)[:_LOOKED_AT]:
        try:
            content = mask.read_bytes()
            coding = open_mask(content, mask, dataset) and coding_of(content)
        except (OSError, PixelwiseError, NotPlain, Uneditable):
            continue
        # Colours belong to the encoding; texts, times and positions to that one file.
        yield coding._replace(before=tuple(one for one in coding.before if one[0] in _KEPT), after=())


def _coding_by_table(dataset: Dataset) -> Coding:
    """How the first mask of a data set is stored: as indices with the classes' colours, if its table reads these."""
    table = dataset.label_table
    if table.colors and not table.ids:
        return Coding(RGB, 8)
    if any(not 0 <= value < 256 for value in table.ids):
        return Coding(GREY, 16)
    if table.threshold is not None or not set(range(len(dataset.classes))) <= set(table.ids):
        return Coding(GREY, 8)
    return Coding(PALETTE, 8, ((b"PLTE", _colors_of_values(dataset).tobytes()),))


def _colors_of_values(dataset: Dataset) -> np.ndarray:
    """The colour of every value of a mask, uint8 (256, 3)."""
    labels = np.full(256, IGNORE, np.uint8)
    for value, class_id in dataset.label_table.ids.items():
        labels[value] = class_id
    return color_table(dataset.palette)[labels]
