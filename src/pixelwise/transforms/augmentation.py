"""Random geometry of a training pair, on uint8 arrays.

Zoom, change of aspect ratio, crop, flip and padding are one affine map, so every pixel is
interpolated once and only the pixels of the crop are computed.
"""

from __future__ import annotations

import cv2
import numpy as np

from pixelwise.recipes.classes import IGNORE
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.schema import Augment
from pixelwise.transforms.resizing import resize_image, resize_labels


def fixed_resize(image: np.ndarray, labels: np.ndarray, augment: Augment) -> tuple[np.ndarray, np.ndarray]:
    """The part that is the same every time, `augment.resize`; its result can be cached."""
    if augment.resize is None:
        return image, labels
    return resize_image(image, augment.resize), resize_labels(labels, augment.resize)


def random_geometry(
    image: np.ndarray, labels: np.ndarray, augment: Augment, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Zoom, aspect, crop and flip as drawn from `random`.

    Args:
        image: uint8 (H, W, 3).
        labels: uint8 (H, W), class ids or 255.
        augment: What to draw.
        random: Decides everything; equal generators give equal results.

    Returns:
        Image and labels of size `augment.crop` where that is set, else of the input's size.
        Outside the source the image is 0 and the labels are 255.
    """
    flip = random.random() < augment.flip
    if augment.crop is None:
        if flip:
            image, labels = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[:, ::-1])
        return image, labels
    scale_y, scale_x = _draw_scale(augment, random)
    left_top = _draw_position(labels, augment, augment.crop, (scale_y, scale_x), random)
    return _affine_crop(image, labels, augment.crop, (scale_y, scale_x), left_top, flip)


def _draw_scale(augment: Augment, random: np.random.Generator) -> tuple[float, float]:
    low, high = augment.scale or (1.0, 1.0)
    zoom = float(np.exp(random.uniform(np.log(low), np.log(high))))
    stretch = float(np.exp(random.uniform(-1, 1) * np.log1p(augment.aspect) / 2))
    return zoom * stretch, zoom / stretch


def _draw_position(
    labels: np.ndarray,
    augment: Augment,
    crop: Size,
    scale: tuple[float, float],
    random: np.random.Generator,
) -> tuple[float, float]:
    """Top and left corner of the crop in the zoomed image; negative where the image is smaller."""
    room = [length * factor - wanted for length, factor, wanted in zip(labels.shape, scale, crop, strict=True)]
    target = None
    if random.random() < augment.class_crop:
        target = _draw_class_pixel(labels, random)
    # The corner falls on a whole source pixel when nothing is zoomed: then no pixel is interpolated.
    whole = scale == (1.0, 1.0)
    corner = []
    for axis in (0, 1):
        low, high = min(0.0, room[axis]), max(0.0, room[axis])
        if target is None:
            position = random.uniform(low, high)
        else:
            position = min(max((target[axis] + 0.5) * scale[axis] - crop[axis] / 2, low), high)
        corner.append(float(round(position)) if whole else position)
    return corner[0], corner[1]


def _draw_class_pixel(labels: np.ndarray, random: np.random.Generator) -> tuple[int, int] | None:
    """A random pixel of a class drawn uniformly from those in `labels`; None if all is ignored."""
    counts = np.bincount(labels.ravel(), minlength=256)[:IGNORE]
    present = np.flatnonzero(counts)
    if present.size == 0:
        return None
    chosen = random.choice(present)
    position = np.flatnonzero(labels.ravel() == chosen)[random.integers(counts[chosen])]
    row, column = divmod(int(position), labels.shape[1])
    return row, column


def _affine_crop(
    image: np.ndarray,
    labels: np.ndarray,
    crop: Size,
    scale: tuple[float, float],
    corner: tuple[float, float],
    flip: bool,
) -> tuple[np.ndarray, np.ndarray]:
    height, width = crop
    (scale_y, scale_x), (top, left) = scale, corner
    # Output pixel centre (x + 0.5) lies at (x + 0.5 + left) / scale_x in the source.
    matrix = np.array(
        [
            [1 / scale_x, 0, (0.5 + left) / scale_x - 0.5],
            [0, 1 / scale_y, (0.5 + top) / scale_y - 0.5],
        ]
    )
    if flip:
        matrix[0, 2] += matrix[0, 0] * (width - 1)
        matrix[0, 0] = -matrix[0, 0]
    options = {"dsize": (width, height), "borderMode": cv2.BORDER_CONSTANT}
    warped = cv2.warpAffine(
        image, matrix, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=(0, 0, 0), **options
    )
    warped_labels = cv2.warpAffine(
        labels, matrix, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=(IGNORE,), **options
    )
    return warped, warped_labels
