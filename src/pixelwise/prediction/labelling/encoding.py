"""How pre-labels are encoded: like the masks of the training data if they had numbers, and described beside them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import tomli_w

from pixelwise.datasets.layouts.description import DESCRIPTION_FILE, write_description
from pixelwise.errors import RecipeError
from pixelwise.prediction.mask_formats import mask_values
from pixelwise.prediction.options import MaskFormat
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import write_text


class Encoding(NamedTuple):
    """The encoding of masks.

    Attributes:
        format: The mask format by which they are written.
        values: Pixel value of each class.
        ignored: Value of open pixels.
    """

    format: MaskFormat
    values: tuple[int, ...]
    ignored: int


def encoding_of(segmenter: Segmenter) -> Encoding:
    """The values of the masks that the network was trained with; else class ids, with 255 for open pixels.

    Class ids stand in for colours, for masks that were drawn from annotations, and where no value is left for open
    pixels.
    """
    number = len(segmenter.classes)
    try:
        values, ignored = mask_values("original", segmenter.classes, segmenter.label_table)
    except RecipeError:
        values, ignored = [], None
    numbers = len(values) == number and all(isinstance(one, int) for one in values)
    if not numbers or not isinstance(ignored, int) or ignored in values:
        return Encoding("ids", tuple(range(number)), IGNORE)
    return Encoding("original", tuple(values), ignored)


def describe(output: Path, segmenter: Segmenter, encoding: Encoding) -> None:
    """Write `dataset.toml`, by which every verb reads the masks.

    Raises:
        ResourceError: S601, the disk is full.
    """
    if encoding.values == tuple(range(len(segmenter.classes))):
        write_description(output, segmenter.classes, segmenter.palette, encoding.ignored)
        return
    content = {
        "classes": list(segmenter.classes),
        "palette": ["#{:02x}{:02x}{:02x}".format(*color) for color in segmenter.palette],
        "ignore": encoding.ignored,
        "label_map": {str(value): class_id for class_id, value in enumerate(encoding.values)},
    }
    write_text(output / DESCRIPTION_FILE, tomli_w.dumps(content))
