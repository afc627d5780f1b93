"""Complete networks, one file per family; a file is imported when the first network of its family is built.

Importing this package, or `pixelwise.models.building` to register a family, does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pixelwise.models.building import build_model

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel
    from pixelwise.models.preprocessing import normalize

__all__ = ["SegmentationModel", "build_model", "normalize"]

_HOMES = {"SegmentationModel": "pixelwise.models.base", "normalize": "pixelwise.models.preprocessing"}


def __getattr__(name: str) -> Any:
    """Import the names that need torch on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pixelwise.models' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
