"""Pixelwise: from labelled images to a measured, deployable semantic-segmentation model.

The names below are the public API; each is imported when it is first used, so that
`import pixelwise` is cheap and listing recipes never loads PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pixelwise.errors import explained as _explained
from pixelwise.lazy_names import lazy_names as _lazy_names
from pixelwise.machine import openmp as _openmp
from pixelwise.telemetry import switch_off as _switch_off

if TYPE_CHECKING:
    from pixelwise.api.check import check, check_part
    from pixelwise.api.deploy import deploy
    from pixelwise.api.distill import distill
    from pixelwise.api.evaluate import evaluate
    from pixelwise.api.folds.crossval import crossval
    from pixelwise.api.predict import predict
    from pixelwise.api.prelabel import prelabel
    from pixelwise.api.profile import profile
    from pixelwise.api.report import write_report
    from pixelwise.api.resume import resume
    from pixelwise.api.run import Run
    from pixelwise.api.serve import serve
    from pixelwise.api.several.compare import compare
    from pixelwise.api.several.seed_runs import SeedRuns
    from pixelwise.api.table import table
    from pixelwise.api.train import train
    from pixelwise.api.ui import ui
    from pixelwise.api.watch import watch
    from pixelwise.checkpoints.hub.pushing import push
    from pixelwise.checkpoints.import_folder import import_weights_file
    from pixelwise.checkpoints.importers.importing import ImportReport, import_weights
    from pixelwise.datasets.auditing.audit import Audit, audit
    from pixelwise.datasets.auditing.statistics import statistics
    from pixelwise.datasets.opening import open_dataset
    from pixelwise.datasets.preparing.converting import convert
    from pixelwise.datasets.preparing.dividing import split
    from pixelwise.datasets.preparing.drawing import draw_town
    from pixelwise.datasets.preparing.fetching import list_public_data, prepare
    from pixelwise.datasets.preparing.sharding import shard
    from pixelwise.datasets.preparing.verifying import verify
    from pixelwise.deployment.export.export import export
    from pixelwise.deployment.int8.quantize import quantize
    from pixelwise.errors import PixelwiseError
    from pixelwise.evaluation.comparison.comparison import Comparison
    from pixelwise.installation.doctor import doctor
    from pixelwise.models import SegmentationModel, build_model
    from pixelwise.observer import Observer
    from pixelwise.prediction.loading import load
    from pixelwise.prediction.prediction import Prediction
    from pixelwise.prediction.segmenter import Segmenter
    from pixelwise.prediction.videos.frames import VideoFrame
    from pixelwise.profiling.complexity import Complexity, complexity
    from pixelwise.recipes.catalog import list_recipes
    from pixelwise.recipes.editors import schema
    from pixelwise.recipes.explaining import explain
    from pixelwise.recipes.files import find as recipe
    from pixelwise.recipes.overrides import apply_overrides
    from pixelwise.recipes.protocols import Protocol
    from pixelwise.recipes.schema.recipe import Recipe
    from pixelwise.records.result import Result, Unfinished
    from pixelwise.reports.displays import display
    from pixelwise.reports.meanings import describe
    from pixelwise.storage.cache_contents import cache
    from pixelwise.training.trackers.sending import track
    from pixelwise.zoo.searching import search

__version__ = "0.1.0"

_openmp.configure()  # before anything imports torch

# Where each public name is defined: `module`, or `module:name` where it has another name there.
_HOMES = {
    "Audit": "pixelwise.datasets.auditing.audit",
    "Comparison": "pixelwise.evaluation.comparison.comparison",
    "Complexity": "pixelwise.profiling.complexity",
    "ImportReport": "pixelwise.checkpoints.importers.importing",
    "Observer": "pixelwise.observer",
    "PixelwiseError": "pixelwise.errors",
    "Prediction": "pixelwise.prediction.prediction",
    "Protocol": "pixelwise.recipes.protocols",
    "Recipe": "pixelwise.recipes.schema.recipe",
    "Result": "pixelwise.records.result",
    "Run": "pixelwise.api.run",
    "SeedRuns": "pixelwise.api.several.seed_runs",
    "SegmentationModel": "pixelwise.models",
    "Segmenter": "pixelwise.prediction.segmenter",
    "Unfinished": "pixelwise.records.result",
    "VideoFrame": "pixelwise.prediction.videos.frames",
    "apply_overrides": "pixelwise.recipes.overrides",
    "audit": "pixelwise.datasets.auditing.audit",
    "build_model": "pixelwise.models",
    "cache": "pixelwise.storage.cache_contents",
    "check": "pixelwise.api.check",
    "check_part": "pixelwise.api.check",
    "compare": "pixelwise.api.several.compare",
    "complexity": "pixelwise.profiling.complexity",
    "convert": "pixelwise.datasets.preparing.converting",
    "crossval": "pixelwise.api.folds.crossval",
    "deploy": "pixelwise.api.deploy",
    "describe": "pixelwise.reports.meanings",
    "display": "pixelwise.reports.displays",
    "distill": "pixelwise.api.distill",
    "doctor": "pixelwise.installation.doctor",
    "draw_town": "pixelwise.datasets.preparing.drawing",
    "evaluate": "pixelwise.api.evaluate",
    "explain": "pixelwise.recipes.explaining",
    "export": "pixelwise.deployment.export.export",
    "import_weights": "pixelwise.checkpoints.importers.importing",
    "import_weights_file": "pixelwise.checkpoints.import_folder",
    "list_public_data": "pixelwise.datasets.preparing.fetching",
    "list_recipes": "pixelwise.recipes.catalog",
    "load": "pixelwise.prediction.loading",
    "open_dataset": "pixelwise.datasets.opening",
    "predict": "pixelwise.api.predict",
    "prelabel": "pixelwise.api.prelabel",
    "prepare": "pixelwise.datasets.preparing.fetching",
    "profile": "pixelwise.api.profile",
    "push": "pixelwise.checkpoints.hub.pushing",
    "quantize": "pixelwise.deployment.int8.quantize",
    "recipe": "pixelwise.recipes.files:find",
    "resume": "pixelwise.api.resume",
    "schema": "pixelwise.recipes.editors",
    "search": "pixelwise.zoo.searching",
    "serve": "pixelwise.api.serve",
    "shard": "pixelwise.datasets.preparing.sharding",
    "split": "pixelwise.datasets.preparing.dividing",
    "statistics": "pixelwise.datasets.auditing.statistics",
    "table": "pixelwise.api.table",
    "track": "pixelwise.training.trackers.sending",
    "train": "pixelwise.api.train",
    "ui": "pixelwise.api.ui",
    "verify": "pixelwise.datasets.preparing.verifying",
    "watch": "pixelwise.api.watch",
    "write_report": "pixelwise.api.report",
}

__all__ = [
    "Audit",
    "Comparison",
    "Complexity",
    "ImportReport",
    "Observer",
    "PixelwiseError",
    "Prediction",
    "Protocol",
    "Recipe",
    "Result",
    "Run",
    "SeedRuns",
    "SegmentationModel",
    "Segmenter",
    "Unfinished",
    "VideoFrame",
    "apply_overrides",
    "audit",
    "build_model",
    "cache",
    "check",
    "check_part",
    "compare",
    "complexity",
    "convert",
    "crossval",
    "deploy",
    "describe",
    "display",
    "distill",
    "doctor",
    "draw_town",
    "evaluate",
    "explain",
    "export",
    "import_weights",
    "import_weights_file",
    "list_public_data",
    "list_recipes",
    "load",
    "open_dataset",
    "predict",
    "prelabel",
    "prepare",
    "profile",
    "push",
    "quantize",
    "recipe",
    "resume",
    "schema",
    "search",
    "serve",
    "shard",
    "split",
    "statistics",
    "table",
    "track",
    "train",
    "ui",
    "verify",
    "watch",
    "write_report",
]

# Before any further import, since a dependency reads these variables when it is imported.
_switch_off()


_find = _lazy_names(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    """Import a name on first use (PEP 562)."""
    try:
        return _find(name)
    except ModuleNotFoundError as error:
        raise _explained(error, f"pixelwise.{name}") from error.__cause__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
