"""The size at which a network sees an image under a protocol, and resizing to it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.transforms.resizing import resize_image


def seen_images(
    image: np.ndarray, protocol: Protocol, input_size: Size | None
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """An image at the input size, and at each of the protocol's scales of it.

    Args:
        image: uint8 (H, W, C).
        protocol: Says which size, how images are resized, and which scales.
        input_size: Input size where the protocol leaves it open; None: the image's own.
    """
    height, width = protocol.seen_size(input_size) or image.shape[:2]
    if protocol.fit is not None:
        height, width = fitted_size((height, width), *protocol.fit)
    resize = RESIZE[protocol.resampling]
    seen = resize(image, (height, width))
    scaled = (
        # Rounded as mmcv does.
        seen if scale == 1 else resize(image, (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))))
        for scale in protocol.scales
    )
    return seen, tuple(scaled)


def same_resizing(protocol: Protocol, input_size: Size | None) -> tuple[object, ...]:
    """Equal for protocols that resize every image alike."""
    return protocol.seen_size(input_size), protocol.fit, protocol.resampling, protocol.scales


def fitted_size(size: Size, shorter: int, longer: int | None) -> Size:
    """The size of the same aspect ratio that fits into limits for its sides.

    Args:
        size: (height, width).
        shorter: Limit of the shorter side.
        longer: Limit of the longer side. With it sides are rounded to the nearest pixel (as mmcv and
            sssegmentation do); None: the shorter side becomes `shorter` and the longer one is rounded
            down (as torchvision does).
    """
    small, large = sorted(size)
    if longer is None:
        return tuple(shorter if side == small else shorter * large // small for side in size)  # type: ignore[return-value]
    scale = min(longer / large, shorter / small)
    return tuple(max(1, int(side * scale + 0.5)) for side in size)  # type: ignore[return-value]


def floor_index(length: int, output_length: int) -> np.ndarray:
    """int64 (output_length,): `floor(i * length / output_length)`, OpenCV's and PyTorch's `nearest`."""
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
        # OpenCV averages at most four channels, and drops the axis of a single one.
        planes = (np.ascontiguousarray(image[..., channel]) for channel in range(image.shape[2]))
        return np.stack([cv2.resize(plane, (width, height), interpolation=method) for plane in planes], axis=2)

    return resize


RESIZE: dict[str, Callable[[np.ndarray, Size], np.ndarray]] = {
    "antialiased": resize_image,
    "linear": _opencv(cv2.INTER_LINEAR),
    "area": _opencv(cv2.INTER_AREA),
}
"""How images are resized, by the name a protocol gives it."""
