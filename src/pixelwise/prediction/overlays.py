"""Pictures of images and class ids: bands as colours, indexed PNG files, overlays."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import imagecodecs
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pixelwise.recipes.class_sets.tables import IGNORE, Color

VOID: Color = (0, 0, 0)
"""Colour of ignored pixels in pictures of labels."""

BACKGROUND_NAMES = ("background", "bg", "unlabelled", "unlabeled", "void", "none", "nothing", "rest")
"""Names of a class that stands for everything that is no object; other signs and capitals do not count."""
BAND_PIXELS = 1 << 20
"""Number of pixels that are overlaid at once."""
STRETCHED_SHARE = 0.02
"""Share of a band's pixels that becomes black in a picture; an equal share becomes white."""
COMPRESSION = 5
"""Level of libdeflate for class ids: files as small as those of Pillow, in a third of its time."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _INDEXED = 0, 2, 3
"""Colour types of PNG files."""


def as_picture(image: np.ndarray) -> np.ndarray:
    """Convert an image with any number of channels to RGB for display.

    Three channels are taken as red, green and blue and are not changed. Of more than three, the first three of
    `data.channels` are shown, in that order, as red, green and blue; of one or two, the first is shown as grey. Each of
    these bands is stretched: its darkest 2 % become 0, its brightest 2 % become 255. This affects only pictures, never
    the input of the network.

    Args:
        image: Image uint8 (H, W, C).

    Returns:
        The picture, uint8 (H, W, 3); `image` itself if it has three channels.
    """
    channels = image.shape[2]
    if channels == 3:
        return image
    shown = [_stretched(image[..., channel]) for channel in range(3 if channels > 3 else 1)]
    return np.stack(shown if len(shown) == 3 else shown * 3, axis=2)


def _stretched(band: np.ndarray) -> np.ndarray:
    """A band uint8 (H, W) stretched to the full range; a constant band is not changed."""
    shares = np.cumsum(np.bincount(band.ravel(), minlength=256)) / band.size
    low, high = (int(np.searchsorted(shares, share)) for share in (STRETCHED_SHARE, 1 - STRETCHED_SHARE))
    if high <= low:
        return band
    table = np.clip((np.arange(256) - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    return table[band]


def background_of(classes: Sequence[str]) -> int | None:
    """Id of the class that stands for everything else, which overlays leave transparent; None if there is none.

    It is class 0 if its name says so (`background`, `unlabelled`, `void`, ...), or if there are only two classes.

    Args:
        classes: Class names in the order of their ids.
    """
    if not classes:
        return None
    name = "".join(letter for letter in classes[0].lower() if letter.isalnum())
    return 0 if name in BACKGROUND_NAMES or len(classes) == 2 else None


def without_background(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Class ids uint8 (H, W) whose background is ignored, so that pictures show the photo there."""
    background = background_of(classes)
    return labels if background is None else np.where(labels == background, np.uint8(IGNORE), labels)


def with_legend(picture: np.ndarray, entries: Sequence[tuple[str, Color]]) -> np.ndarray:
    """A picture uint8 (H, W, 3) with a strip below that names colours; taller by as many rows as they need.

    Args:
        picture: The picture.
        entries: Name and colour of each class. Letters that the font of Pillow lacks are shown as boxes.
    """
    height, width = picture.shape[:2]
    size = max(11, min(height, width) // 28)
    font, row, gap = ImageFont.load_default(size), round(1.7 * size), round(0.6 * size)
    places, left, top = [], gap, 0
    for name, color in entries:
        needed = size + gap // 2 + round(font.getlength(name)) + 2 * gap
        if left > gap and left + needed > width:
            left, top = gap, top + row
        places.append((left, top, name, color))
        left += needed
    strip = Image.new("RGB", (width, top + row if places else 0), (255, 255, 255))
    draw = ImageDraw.Draw(strip)
    for left, top, name, color in places:
        edge = top + (row - size) // 2
        draw.rectangle((left, edge, left + size - 1, edge + size - 1), fill=color, outline=(120, 120, 120))
        draw.text((left + size + gap // 2, top + row / 2), name, fill=(0, 0, 0), font=font, anchor="lm")
    return np.concatenate([picture, np.asarray(strip).reshape(-1, width, 3)])


def color_table(palette: Sequence[Color]) -> np.ndarray:
    """Colour of every uint8 label, as uint8 (256, 3); `VOID` beyond the palette."""
    table = np.full((256, 3), VOID, np.uint8)
    colors = np.asarray(palette[:IGNORE], np.uint8).reshape(-1, 3)
    table[: len(colors)] = colors
    return table


def colorize(labels: np.ndarray, palette: Sequence[Color]) -> np.ndarray:
    """Convert class ids uint8 (H, W) to colours uint8 (H, W, 3)."""
    return color_table(palette)[labels]


def blend(image: np.ndarray, labels: np.ndarray, palette: Sequence[Color], alpha: float) -> np.ndarray:
    """Overlay an image with the class colours.

    Args:
        image: Image uint8 (H, W, C), converted by `as_picture`.
        labels: Class ids uint8 (H, W); ignored pixels show the image.
        palette: Colour of each class.
        alpha: Opacity of the colours, 0 (image only) to 1 (colours only).

    Returns:
        The picture, uint8 (H, W, 3).
    """
    image, table = as_picture(image), color_table(palette)
    # Integer arithmetic in 1/256, by bands of rows: intermediate pictures of 100 megapixels would take 1.7 GB. Channel
    # by channel it takes a third of the time that whole colours take.
    weight = round(alpha * 256)
    shares = np.ascontiguousarray((table.astype(np.uint16) * weight + 128).T)
    picture = np.empty_like(image)
    height = max(1, BAND_PIXELS // max(image.shape[1], 1))
    for first in range(0, len(image), height):
        rows = slice(first, first + height)
        ignored = labels[rows] == IGNORE
        for channel, share in enumerate(shares):
            values = image[rows, :, channel]
            mixed = np.take(share, labels[rows])
            mixed += np.multiply(values, np.uint16(256 - weight), dtype=np.uint16)
            mixed >>= 8
            picture[rows, :, channel] = np.where(ignored, values, mixed)
    return picture


def indexed_png(labels: np.ndarray, palette: Sequence[Color]) -> bytes:
    """Encode class ids uint8 (H, W) as a palette PNG: pixel value = class id, colours for display only."""
    return png_of(labels, color_table(palette))


def png_of(values: np.ndarray, colors: np.ndarray | None = None) -> bytes:
    """Encode a mask as the bytes of a PNG file.

    Args:
        values: uint8 or uint16 (H, W), or colours uint8 (H, W, 3).
        colors: uint8 (256, 3), colour of each value uint8, for display only; None if there is no palette.
    """
    height, width = values.shape[:2]
    kind = _RGB if values.ndim == 3 else _GREY if colors is None else _INDEXED
    content = np.ascontiguousarray(values, values.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    # Each row begins with its filter: none, since differences between class ids mean nothing.
    rows = np.zeros((height, 1 + content.shape[1]), np.uint8)
    rows[:, 1:] = content
    header = struct.pack(">IIBBBBB", width, height, 8 * values.dtype.itemsize, kind, 0, 0, 0)
    packed = imagecodecs.deflate_encode(rows, COMPRESSION, raw=False)  # type: ignore[arg-type]  # takes any buffer
    chunks = [(b"IHDR", header), (b"IDAT", bytes(packed)), (b"IEND", b"")]
    if colors is not None:
        chunks.insert(1, (b"PLTE", colors.tobytes()))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
        for name, data in chunks
    )


def jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """Encode an image uint8 (H, W, 3) as JPEG without chroma subsampling, which would smear colours over edges."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()
