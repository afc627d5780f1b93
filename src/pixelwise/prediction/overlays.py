"""Images and class ids as pictures: bands as colours, indexed PNG files, overlays."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from pixelwise.recipes.classes.tables import IGNORE, Color

VOID: Color = (0, 0, 0)
"""Colour of ignored pixels in pictures of labels."""

STRETCHED_SHARE = 0.02
"""This share of a band's pixels becomes black in a picture, and as many become white."""


def as_picture(image: np.ndarray) -> np.ndarray:
    """An image of any channels as people look at it.

    Three channels are taken for red, green and blue and stay as they are. Of more, the first three of
    `data.channels` are shown, in that order, as red, green and blue; of one or two the first, as grey. Each of
    these bands is stretched: its darkest 2 % become 0, its brightest 2 % 255. Only pictures are, never what the
    network sees.

    Args:
        image: uint8 (H, W, C).

    Returns:
        uint8 (H, W, 3); `image` itself if it has three channels.
    """
    channels = image.shape[2]
    if channels == 3:
        return image
    shown = [_stretched(image[..., channel]) for channel in range(3 if channels > 3 else 1)]
    return np.stack(shown if len(shown) == 3 else shown * 3, axis=2)


def _stretched(band: np.ndarray) -> np.ndarray:
    """uint8 (H, W) from its dark to its bright end; a band of one value stays as it is."""
    shares = np.cumsum(np.bincount(band.ravel(), minlength=256)) / band.size
    low, high = (int(np.searchsorted(shares, share)) for share in (STRETCHED_SHARE, 1 - STRETCHED_SHARE))
    if high <= low:
        return band
    table = np.clip((np.arange(256) - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    return table[band]


def color_table(palette: Sequence[Color]) -> np.ndarray:
    """uint8 (256, 3): the colour of every value a uint8 label can have; `VOID` beyond the palette."""
    table = np.full((256, 3), VOID, np.uint8)
    colors = np.asarray(palette[:IGNORE], np.uint8).reshape(-1, 3)
    table[: len(colors)] = colors
    return table


def colorize(labels: np.ndarray, palette: Sequence[Color]) -> np.ndarray:
    """uint8 (H, W) class ids as uint8 (H, W, 3) colours."""
    return color_table(palette)[labels]


def blend(image: np.ndarray, labels: np.ndarray, palette: Sequence[Color], alpha: float) -> np.ndarray:
    """The image with the class colours laid over it.

    Args:
        image: uint8 (H, W, C), shown as `as_picture` does.
        labels: uint8 (H, W) class ids; ignored pixels show the image.
        palette: One colour per class.
        alpha: Opacity of the colours, 0 (image only) to 1 (colours only).

    Returns:
        uint8 (H, W, 3).
    """
    image = as_picture(image)
    colors = colorize(labels, palette)
    # Integer arithmetic in 1/256: a float picture of 10 megapixels would take 240 MB on the way.
    weight = round(alpha * 256)
    mixed = (image.astype(np.uint16) * (256 - weight) + colors.astype(np.uint16) * weight + 128) >> 8
    return np.where((labels == IGNORE)[..., None], image, mixed.astype(np.uint8))


def indexed_png(labels: np.ndarray, palette: Sequence[Color]) -> bytes:
    """uint8 (H, W) class ids as a palette PNG: pixel value = class id, colours for the eye only."""
    picture = Image.fromarray(labels, mode="L")
    # Attaching a palette turns mode L into mode P and leaves every value as it is.
    picture.putpalette(color_table(palette).tobytes())
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """uint8 (H, W, 3) as JPEG without chroma subsampling, which would smear colours over edges."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()
