"""Mask formats of benchmark servers and other programs, with other values than class ids.

Masks have the names of their images: the Cityscapes server and scripts look for `<city>_123456_123456*.png`, those of
VOC and ADE20K for the name of the image with the extension `.png`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
from PIL import Image

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.georeference import NODATA_TAG
from pixelwise.errors import RecipeError
from pixelwise.prediction.options import MaskFormat
from pixelwise.prediction.original_values import original_values
from pixelwise.prediction.overlays import color_table, png_of
from pixelwise.recipes.class_sets.tables import ADE20K, CITYSCAPES, IGNORE, VOC, ClassSet, Color

FORMATS: tuple[str, ...] = get_args(MaskFormat)


class _Target(NamedTuple):
    classes: ClassSet
    palette: bool


_TARGETS = {
    "cityscapes": _Target(CITYSCAPES, palette=False),
    "voc": _Target(VOC, palette=True),
    "ade20k": _Target(ADE20K, palette=False),
}


class MaskCode(NamedTuple):
    """How class ids become the pixels of a mask.

    Attributes:
        values: Function from class ids uint8 (H, W), 255 where ignored, to pixel values uint8 or uint16 (H, W), or to
            colours uint8 (H, W, 3).
        colors: uint8 (256, 3) colour of each value, for display only; None if there is no palette.
    """

    values: Callable[[np.ndarray], np.ndarray]
    colors: np.ndarray | None = None

    def png(self, labels: np.ndarray) -> bytes:
        """Class ids uint8 (H, W) as the bytes of a PNG file."""
        return png_of(self.values(labels), self.colors)


def mask_code(name: str, classes: Sequence[str], palette: Sequence[Color], table: LabelTable | None = None) -> MaskCode:
    """How class ids become the pixels of a mask format.

    Args:
        name: Name of a `MaskFormat`.
        classes: Class names of the model.
        palette: Colours of the classes, used for `ids` only; the other formats have official colours or none.
        table: Label table of the training data, for `original`.

    Raises:
        RecipeError: R222, there is no such format, it belongs to a data set with other classes, or the training data
            has no values that masks could have.
    """
    if name == "ids":
        return MaskCode(lambda labels: labels, color_table(palette))
    if name == "original":
        return MaskCode(original_values(table, classes).coded)
    if name not in _TARGETS:
        raise RecipeError("R222", f"no mask format is named '{name}'", f"choose one of: {', '.join(FORMATS)}")
    target = _TARGETS[name]
    expected = target.classes.names
    if tuple(classes) != expected:
        raise RecipeError(
            "R222",
            f"format '{name}' has {len(expected)} classes ({', '.join(expected[:3])}, ...), but the model has "
            f"{len(classes)} ({', '.join(classes[:3])}, ...)",
            "set `mask_format` to ids, which writes the model's own class ids",
        )
    colors = None
    if target.palette:
        colors = color_table(target.classes.palette)
        colors[IGNORE] = target.classes.unlabelled_color
    return MaskCode(table_of(target.classes.label_table).to_raw, colors)


def mask_values(name: str, classes: Sequence[str], label_table: LabelTable | None = None) -> tuple[list[Any], Any]:
    """The pixel value of each class, and that of ignored pixels, in masks of a format; colours are `#rrggbb`.

    Args:
        name: Name of a `MaskFormat`.
        classes: Class names of the model.
        label_table: Label table of the training data, for `original`.
    """
    num_classes = len(classes)
    if name == "original":
        found = original_values(label_table, classes)
        return list(found.values), found.ignored
    if name not in _TARGETS:
        return list(range(num_classes)), IGNORE
    table = table_of(_TARGETS[name].classes.label_table)
    *values, ignored = table.to_raw(np.array([*range(num_classes), IGNORE], np.uint8)).tolist()
    return values, ignored


def grey_png(values: np.ndarray) -> bytes:
    """Encode values uint8 (H, W) as a single-channel PNG."""
    return png_of(values)


def as_geotiff(png: bytes, position: Sequence[tuple[int, int, int, Any, bool]], nodata: int | None) -> bytes:
    """Convert a mask to a GeoTIFF file with the same pixel values and colours.

    Args:
        png: The mask as a PNG file with a palette, one grey channel of 8 or 16 bits, or RGB.
        position: GeoTIFF tags as tifffile writes them.
        nodata: Pixel value of ignored pixels, which is declared as missing data; None if there is none.
    """
    # Imported here: it takes 50 ms, which only georeferenced images need to pay.
    import tifffile

    image = Image.open(io.BytesIO(png))
    colors = np.zeros((256, 3), np.uint16)
    if image.mode == "P":
        palette = np.asarray(image.getpalette("RGB"), np.uint16).reshape(-1, 3)
        colors[: len(palette)] = palette * 257
    missing = [] if nodata is None else [(NODATA_TAG, "s", 0, str(nodata), True)]
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        np.asarray(image),
        photometric={"P": "palette", "RGB": "rgb"}.get(image.mode, "minisblack"),
        colormap=colors.T if image.mode == "P" else None,
        compression="zlib",
        metadata=None,
        extratags=[*position, *missing],
    )
    return stream.getvalue()
