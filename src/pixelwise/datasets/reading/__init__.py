"""Reading of image and mask files into arrays."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelwise.datasets.reading.images import read_image
    from pixelwise.datasets.reading.pairs import read_labels, read_pair

__all__ = ["read_image", "read_labels", "read_pair"]

_HOMES = {"read_image": "images", "read_labels": "pairs", "read_pair": "pairs"}


def __getattr__(name: str) -> Any:
    """Import the decoders when they are first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
