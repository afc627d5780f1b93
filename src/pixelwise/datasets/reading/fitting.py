"""Comparison of the sizes of an image and its mask, and errors that explain a difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.datasets.samples import Reading, Sample
from pixelwise.errors import DataError
from pixelwise.storage import printable

_SIMILAR = 1.02


def rotation_error(
    sample: Sample, image_size: tuple[int, ...], mask_size: tuple[int, ...], orientation: int, reading: Reading
) -> DataError | None:
    """D110 if the mask fits the image only when one of them is turned by 90 degrees, else None.

    Args:
        sample: The pair; the message names its paths.
        image_size: (height, width) of the image as read.
        mask_size: (height, width) of the mask.
        orientation: EXIF orientation of the image, 1..8.
        reading: Reading options; `exif` says whether the orientation was applied.
    """
    if mask_size == image_size or mask_size != image_size[::-1]:
        return None
    mask = printable(sample.mask_path or "")
    if orientation < 5:
        return DataError(
            "D110",
            f"{mask}: the mask is turned by 90 degrees or transposed: it is {_text(mask_size)} (WxH), its image "
            f"{_text(image_size)}",
            "turn the mask so that it lies on its image (a look at both tells which way), or export it again: resizing "
            "would distort it",
        )
    state, other = ("upright", "ignore") if reading.exif == "apply" else ("as stored", "apply")
    return DataError(
        "D110",
        f"{printable(sample.image_path)}: the photo has EXIF orientation {orientation} and is "
        f"{_text(image_size)} (WxH) {state}, but its mask {mask} is {_text(mask_size)}: it was drawn on the "
        f"{'unrotated' if reading.exif == 'apply' else 'upright'} image",
        f"set data.exif={other}",
    )


def fit_labels(labels: np.ndarray, size: tuple[int, ...], path: Path | None, reading: Reading) -> np.ndarray:
    """The labels at `size` (height, width): unchanged, or resized by nearest neighbour if allowed.

    Raises:
        DataError: D201, the sizes differ and `reading.mask_resize` is `refuse`, or the shapes differ as well.
    """
    if labels.shape == size:
        return labels
    similar = same_shape(size, labels.shape)
    if reading.mask_resize == "refuse" or not similar:
        help = "export the mask at image size, or allow nearest-neighbour resizing: data.mask_resize=nearest"
        if not similar:
            help = "export the mask at image size: it shows another section, and resizing would distort it"
        raise DataError(
            "D201",
            f"{printable(path or '')}: the mask is {_text(labels.shape)} (WxH), its image {_text(size)}"
            f"{_ratio(size, labels.shape)}",
            help,
        )
    # Pillow samples at pixel centres; OpenCV's nearest would shift the labels by half a pixel.
    resized = Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST)
    return np.array(resized)


def same_shape(image: tuple[int, ...], mask: tuple[int, ...]) -> bool:
    """Whether height and width have the same ratio in both, within 2 % or the rounding to whole pixels."""
    tall, wide = mask[0] / image[0], mask[1] / image[1]
    if max(tall, wide) <= _SIMILAR * min(tall, wide):
        return True
    lowest = max((mask[0] - 1) / image[0], (mask[1] - 1) / image[1])
    return lowest < min((mask[0] + 1) / image[0], (mask[1] + 1) / image[1])


def _text(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"


def _ratio(image: tuple[int, ...], mask: tuple[int, ...]) -> str:
    """` (reduced to 1/2)` if height and width differ by the same whole factor, else the two ratios."""
    for large, small, words in ((image, mask, "reduced to 1/"), (mask, image, "enlarged by ")):
        times, rest = divmod(large[0], small[0])
        if times > 1 and rest == 0 and large[1] == times * small[1]:
            return f" (the mask was {words}{times})"
    return f" (ratios of width and height {image[1] / mask[1]:.4g} and {image[0] / mask[0]:.4g})"
