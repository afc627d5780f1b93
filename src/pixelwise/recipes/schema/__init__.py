"""The schema of recipes, with one module per section or group of sections."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelwise.recipes.schema.recipe import (
        Augment,
        Checkpoints,
        ClassWeights,
        Data,
        Ema,
        Evaluation,
        Group,
        Initialize,
        Loss,
        Ohem,
        Optimizer,
        Original,
        Part,
        Precision,
        Published,
        Range,
        Recipe,
        Role,
        Sampling,
        Schedule,
        Selection,
        Stage,
    )

__all__ = [
    "Augment",
    "Checkpoints",
    "ClassWeights",
    "Data",
    "Ema",
    "Evaluation",
    "Group",
    "Initialize",
    "Loss",
    "Ohem",
    "Optimizer",
    "Original",
    "Part",
    "Precision",
    "Published",
    "Range",
    "Recipe",
    "Role",
    "Sampling",
    "Schedule",
    "Selection",
    "Stage",
]


def __getattr__(name: str) -> Any:
    """Import the schema when it is first used (PEP 562): a module that registers a term or a spec needs only a part."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"{__name__}.recipe"), name)
    globals()[name] = value
    return value
