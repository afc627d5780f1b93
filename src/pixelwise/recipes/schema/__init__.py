"""The schema of recipes, with one module per section or group of sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pixelwise.lazy_names import lazy_names

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


# Imported when it is first used: a module that registers a term or a spec needs only a part of the schema.
__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, f"{__name__}.recipe"))
