"""Photos and class colours as small WebP files that lie over each other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.prediction.combinations import indexed, mixed_colors
from pixelwise.prediction.overlays import as_picture, color_table
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.recipes.sizes import Size
from pixelwise.records.pictures import PICTURES, Picture
from pixelwise.storage import write_bytes
from pixelwise.transforms.resizing import resize_image, resize_labels

BACKGROUND = ("background", "unlabelled", "unlabeled", "void", "none", "other")
"""Names of classes that stand for everything else, which a picture need not colour."""
QUALITY = 80
"""Quality of photos, 0..100; layers are stored without loss."""


def write_picture(run: Path, name: str, sample: str, image: np.ndarray, labels: bytes, size: Size) -> Picture:
    """Write a photo and the layer of its labels to the run's pictures.

    Args:
        run: Run folder.
        name: Start of the file names.
        sample: Id of the image.
        image: Image uint8 (H, W, C).
        labels: The layer, from `layer`.
        size: (height, width) of the files.

    Raises:
        ResourceError: S601, the disk is full.
    """
    picture = Picture(id=sample, height=size[0], width=size[1], photo=f"{name}.webp", labels=f"{name}-labels.webp")
    write_bytes(run / PICTURES / picture.photo, photo(image, size))
    write_bytes(run / PICTURES / picture.labels, labels)
    return picture


def photo(image: np.ndarray, size: Size) -> bytes:
    """An image uint8 (H, W, C) as WebP of `size`, (height, width)."""
    return _webp(Image.fromarray(resize_image(as_picture(image), size)), quality=QUALITY, method=0)


def layer(labels: np.ndarray, palette: Sequence[Color], clear: Sequence[int], size: Size) -> bytes:
    """The colours of labels as WebP of `size`, without loss.

    Args:
        labels: Class ids uint8 (H, W), 255 = ignored; int32 bit fields for multi-label data.
        palette: Colour of each class.
        clear: Classes that are transparent, as ignored pixels are.
        size: (height, width) of the file.
    """
    small = resize_labels(labels, size)
    invisible = [IGNORE, *clear]
    if labels.dtype != np.uint8:
        (small,), combinations = indexed([small])
        palette = mixed_colors(combinations, palette)
        invisible = [IGNORE, *(place for place, classes in enumerate(combinations) if not classes)]
    table = np.concatenate([color_table(palette), np.full((256, 1), 255, np.uint8)], axis=1)
    table[invisible] = 0
    return _webp(Image.fromarray(table[small]), lossless=True, quality=20, method=0)


def clear_classes(classes: Sequence[str]) -> tuple[int, ...]:
    """Ids of the classes whose colour would only hide the photo: a background by its name, else the first of two."""
    named = tuple(number for number, name in enumerate(classes) if name.lower() in BACKGROUND)
    return named or ((0,) if len(classes) == 2 else ())


def at_most(size: Size, longest: int) -> Size:
    """A size of the same shape whose longer side is at most `longest`."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _webp(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", **options)
    return stream.getvalue()
