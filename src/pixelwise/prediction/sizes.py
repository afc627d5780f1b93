"""Input size of an image under a protocol, and resizing to it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.transforms.resizing import resize_image


def seen_images(
    image: np.ndarray, protocol: Protocol, input_size: Size | None
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """An image at the input size, and at each of the protocol's scales of that size.

    Args:
        image: Image uint8 (H, W, C).
        protocol: Protocol that defines the input size, the resampling and the scales.
        input_size: Input size if the protocol leaves it open; None for the image's own size.
    """
    height, width = protocol.seen_size(input_size) or image.shape[:2]
    if protocol.fit is not None:
        height, width = fitted_size((height, width), *protocol.fit)
    resize = RESIZE[protocol.resampling]
    seen = resize(image, (height, width))
    scaled = (
        # Rounded as in mmcv.
        seen if scale == 1 else resize(image, (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))))
        for scale in protocol.scales
    )
    return seen, tuple(scaled)


def same_resizing(protocol: Protocol, input_size: Size | None) -> tuple[object, ...]:
    """Key that is equal for protocols that resize every image in the same way."""
    return protocol.seen_size(input_size), protocol.fit, protocol.resampling, protocol.scales


def fitted_size(size: Size, shorter: int, longer: int | None) -> Size:
    """The size of the same aspect ratio that fits into limits for its sides.

    Args:
        size: (height, width) of the image.
        shorter: Limit of the shorter side.
        longer: Limit of the longer side; sides are then rounded to the nearest pixel (as in mmcv and sssegmentation).
            None makes the shorter side `shorter` and rounds the longer one down (as in torchvision).
    """
    small, large = sorted(size)
    if longer is None:
        return tuple(shorter if side == small else shorter * large // small for side in size)  # type: ignore[return-value]
    scale = min(longer / large, shorter / small)
    return tuple(max(1, int(side * scale + 0.5)) for side in size)  # type: ignore[return-value]


def floor_index(length: int, output_length: int) -> np.ndarray:
    """Indices int64 (output_length,) `floor(i * length / output_length)`, as in OpenCV's and PyTorch's `nearest`."""
    return np.arange(output_length) * length // output_length


def _opencv(interpolation: int) -> Callable[[np.ndarray, Size], np.ndarray]:
    def resize(image: np.ndarray, size: Size) -> np.ndarray:
        if image.shape[:2] == tuple(size):
            return image
        height, width = size
        shrinks = height * width < image.shape[0] * image.shape[1]
        method = interpolation if shrinks else cv2.INTER_LINEAR
        if image.shape[2] == 3:
            return cv2.resize(image, (width, height), interpolation=method)
        # OpenCV resizes at most four channels at once by area, and drops the axis of a single one.
        planes = (np.ascontiguousarray(image[..., channel]) for channel in range(image.shape[2]))
        return np.stack([cv2.resize(plane, (width, height), interpolation=method) for plane in planes], axis=2)

    return resize


RESIZE: dict[str, Callable[[np.ndarray, Size], np.ndarray]] = {
    "antialiased": resize_image,
    "linear": _opencv(cv2.INTER_LINEAR),
    "area": _opencv(cv2.INTER_AREA),
}
"""Name of a protocol's resampling -> function that resizes an image."""
