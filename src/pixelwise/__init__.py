"""Pixelwise: from labelled images to a measured, deployable semantic-segmentation model.

The names below are the public API; each is imported when it is first used, so that
`import pixelwise` is cheap and listing recipes never loads PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pixelwise.machine import openmp as _openmp
from pixelwise.telemetry import switch_off as _switch_off

if TYPE_CHECKING:
    from pixelwise.checkpoints.importers.importing import ImportReport, import_weights
    from pixelwise.datasets.auditing.audit import Audit, audit
    from pixelwise.datasets.opening import open_dataset
    from pixelwise.deployment.export.export import export
    from pixelwise.errors import PixelwiseError
    from pixelwise.evaluation.runs import evaluate
    from pixelwise.models import SegmentationModel, build_model
    from pixelwise.prediction.loading import load
    from pixelwise.prediction.segmenter import Prediction, Segmenter
    from pixelwise.profiling import Complexity, complexity
    from pixelwise.recipes.catalog import list_recipes
    from pixelwise.recipes.files import find as recipe
    from pixelwise.recipes.overrides import apply_overrides
    from pixelwise.recipes.protocols import Protocol
    from pixelwise.recipes.schema.recipe import Recipe
    from pixelwise.records.result import Result
    from pixelwise.training.runs import resume, train

_openmp.configure()  # before anything imports torch

# Where a name is, as `module`, or `module:name` where it has another name there.
_HOMES = {
    "Audit": "pixelwise.datasets.auditing.audit",
    "Complexity": "pixelwise.profiling",
    "ImportReport": "pixelwise.checkpoints.importers.importing",
    "PixelwiseError": "pixelwise.errors",
    "Prediction": "pixelwise.prediction.segmenter",
    "Protocol": "pixelwise.recipes.protocols",
    "Recipe": "pixelwise.recipes.schema.recipe",
    "Result": "pixelwise.records.result",
    "SegmentationModel": "pixelwise.models",
    "Segmenter": "pixelwise.prediction.segmenter",
    "apply_overrides": "pixelwise.recipes.overrides",
    "audit": "pixelwise.datasets.auditing.audit",
    "build_model": "pixelwise.models",
    "complexity": "pixelwise.profiling",
    "evaluate": "pixelwise.evaluation.runs",
    "export": "pixelwise.deployment.export.export",
    "import_weights": "pixelwise.checkpoints.importers.importing",
    "list_recipes": "pixelwise.recipes.catalog",
    "load": "pixelwise.prediction.loading",
    "open_dataset": "pixelwise.datasets.opening",
    "recipe": "pixelwise.recipes.files:find",
    "resume": "pixelwise.training.runs",
    "train": "pixelwise.training.runs",
}

__all__ = [
    "Audit",
    "Complexity",
    "ImportReport",
    "PixelwiseError",
    "Prediction",
    "Protocol",
    "Recipe",
    "Result",
    "SegmentationModel",
    "Segmenter",
    "apply_overrides",
    "audit",
    "build_model",
    "complexity",
    "evaluate",
    "export",
    "import_weights",
    "list_recipes",
    "load",
    "open_dataset",
    "recipe",
    "resume",
    "train",
]

# Here, because whatever is imported later may import what listens to it.
_switch_off()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pixelwise' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
