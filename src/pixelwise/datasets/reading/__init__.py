"""Reading of image and mask files into arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.lazy_names import lazy_names

if TYPE_CHECKING:
    from pixelwise.datasets.reading.images import read_image
    from pixelwise.datasets.reading.pairs import read_labels, read_pair

__all__ = ["read_image", "read_labels", "read_pair"]

_IMAGES, _PAIRS = f"{__name__}.images", f"{__name__}.pairs"
_HOMES = {"read_image": _IMAGES, "read_labels": _PAIRS, "read_pair": _PAIRS}


# The decoders are imported when they are first used.
__getattr__ = lazy_names(__name__, _HOMES)
