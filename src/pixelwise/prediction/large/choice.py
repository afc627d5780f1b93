"""Which images are predicted in parts, and why."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.reading.regions.images import Layout, large_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.machine.memory import available_memory
from pixelwise.storage import printable

_SMALL_PIXELS = 1 << 24
"""Images of fewer pixels are decoded whole, however little memory is left: other things need more of it."""
_WORK_BYTES = 11
"""Bytes per pixel besides the stored values and the channels of the network: class ids, overlay, encoding."""
_SHARE = 0.5
"""Largest share of the free memory that an image may need."""


class InParts(NamedTuple):
    """A file that is predicted in parts.

    Attributes:
        path: The file.
        reason: Why it is not decoded whole.
    """

    path: Path
    reason: str


def reason_for_parts(path: Path, reading: Reading, channels: int, above: int | None = None) -> str:
    """Why an image is read, predicted and written in parts; empty if it is decoded whole.

    Args:
        path: The image; only TIFF files can be read in parts.
        reading: Rules for reading image files.
        channels: Number of channels that the network receives.
        above: Number of pixels above which images are predicted in parts; None to decide by `reading.max_pixels` and by
            the free memory.
    """
    found = large_image(path, min(_SMALL_PIXELS, reading.max_pixels) if above is None else above)
    if found is None:
        return ""
    pixels = f"{found.pixels / 1e6:,.1f} million pixels"
    if above is not None:
        return f"{pixels} are more than the {above / 1e6:,.1f} million of `parts_above`"
    if found.pixels > reading.max_pixels:
        return f"{pixels} are more than the {reading.max_pixels / 1e6:,.1f} million that data.max_pixels decodes whole"
    needed, free = needed_bytes(found, channels), available_memory()
    if needed > _SHARE * free:
        return f"decoded whole it would need {needed / 1e9:.1f} GB of the {free / 1e9:.1f} GB of free memory"
    return ""


def needed_bytes(layout: Layout, channels: int) -> int:
    """Memory that an image needs if it is decoded and predicted whole."""
    return layout.pixels * (layout.pixel_bytes + channels + _WORK_BYTES)


def parts_need_pytorch(path: Path, reason: str) -> DataError:
    """Error D120 of an image that only PyTorch can predict in parts, where it is not installed.

    Args:
        path: The image.
        reason: Why it is predicted in parts.
    """
    return DataError(
        "D120",
        f"{printable(path)}: predicting it in parts needs PyTorch, which is not installed: {reason}",
        "install it: pip install 'pixelwise[train]'; or cut the image into smaller ones",
    )
