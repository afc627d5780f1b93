"""Export formats, and exported artefacts wrapped in the interface of a network."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pixelwise.runtimes.reading import is_artefact, read_sidecar
from pixelwise.runtimes.sidecar import Sidecar, write_sidecar
from pixelwise.runtimes.targets import Target, find_target, register_target

if TYPE_CHECKING:
    from pixelwise.runtimes.artefact import ArtefactModel, load_artefact

__all__ = [
    "ArtefactModel",
    "Sidecar",
    "Target",
    "find_target",
    "is_artefact",
    "load_artefact",
    "read_sidecar",
    "register_target",
    "write_sidecar",
]

_NEED_TORCH = ("ArtefactModel", "load_artefact")


def __getattr__(name: str) -> Any:
    """Import names that need PyTorch on first use (PEP 562)."""
    if name not in _NEED_TORCH:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module("pixelwise.runtimes.artefact"), name)
