"""Writes images and masks, for the miniature data sets of the formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.recipes.class_sets.tables import Color

_JPEG_QUALITY = 95


def write_image(path: Path, pixels: np.ndarray, palette: Sequence[Color] = ()) -> None:
    """Write pixels to an image file; its folder is created.

    Args:
        path: Path of the file, whose extension sets the format.
        pixels: uint8 (H, W, 3) RGB, or uint8 (H, W).
        palette: Colours of the mask values 0, 1, ...; empty: the file has no palette.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    if palette:
        # All 256 colours: with fewer, PNG has fewer bits per pixel than the values may need.
        colors = [*palette, *[(0, 0, 0)] * (256 - len(palette))]
        picture.putpalette([channel for color in colors for channel in color])
    if path.suffix == ".jpg":
        picture.save(path, quality=_JPEG_QUALITY)
    else:
        picture.save(path)
