"""Complete networks, one file per family; a file is imported when the first network of its family is built.

Importing this package, or `pixelwise.models.building` to register a family, does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.lazy_names import lazy_names
from pixelwise.models.building import build_model

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel
    from pixelwise.models.preprocessing import normalize

__all__ = ["SegmentationModel", "build_model", "normalize"]

_HOMES = {"SegmentationModel": "pixelwise.models.base", "normalize": "pixelwise.models.preprocessing"}


# What needs torch is imported when it is first used.
__getattr__ = lazy_names(__name__, _HOMES)
