"""Resizing of images and labels, the same way everywhere."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from pixelwise.recipes.sizes import Size


def resize_image(image: np.ndarray, size: Size) -> np.ndarray:
    """Resize a uint8 (H, W, C) image bilinearly, with antialiasing when it shrinks.

    Pillow's bilinear filter widens with the reduction factor. torchvision's `Resize` does the same to PIL images, so
    this is what published networks were trained on.
    """
    if image.shape[:2] == tuple(size):
        return image
    if image.ndim == 3 and image.shape[2] != 3:
        # Pillow would treat four channels as RGBA and weight the colours by alpha.
        planes = [np.ascontiguousarray(plane) for plane in np.moveaxis(image, 2, 0)]
        return np.stack([_resize_pixels(plane, size) for plane in planes], axis=2)
    return _resize_pixels(image, size)


def _resize_pixels(image: np.ndarray, size: Size) -> np.ndarray:
    """Resize uint8 (H, W, 3) or (H, W) like `resize_image`."""
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_labels(labels: np.ndarray, size: Size) -> np.ndarray:
    """Resize (H, W) labels, class ids or bit fields, by nearest neighbour, pixel centres aligned: no new ids appear."""
    if labels.shape == tuple(size):
        return labels
    height, width = size
    return cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
