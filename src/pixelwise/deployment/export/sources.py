"""Sources of an export: the result of a run, or the network of a recipe with random weights."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import torch

from pixelwise.checkpoints.hub.resolving import here
from pixelwise.checkpoints.licences import code_licence, licence_of_run
from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.deployment.export.options import require_source
from pixelwise.errors import RecipeError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.quantization.aware import QuantizationAwareModel, QuantizedModel
from pixelwise.observer import Warn
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import Licence
from pixelwise.records.evaluations import find_result
from pixelwise.records.run_folder import palette_of
from pixelwise.runtimes.sidecar import Score
from pixelwise.storage import printable

SEED = 0
"""Seed of random weights, so that two exports of the same recipe are identical."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A network to export, with its origin.

    Attributes:
        model: The network, in evaluation mode on the CPU.
        recipe: Its resolved recipe.
        recipe_hash: SHA-256 of what was trained: of the recipe, or of the whole history of a resumed run.
        palette: One colour per class.
        weights_sha256: SHA-256 of the weights file; empty for random weights.
        licence: Licences of weights and code, and the networks that the weights were derived from.
        score: Score of the weights; None if the run records none.
        run: The run folder; None for random weights.
    """

    model: SegmentationModel
    recipe: Recipe
    recipe_hash: str
    palette: tuple[Color, ...]
    weights_sha256: str
    licence: Licence
    score: Score | None
    run: Path | None


def open_source(
    source: str, weights: str | None = None, num_classes: int | None = None, warn: Warn | None = None
) -> Source:
    """Open the network to export.

    Args:
        source: A run folder or a folder of imported weights; with `weights="none"` a recipe's name or file.
        weights: `none` for random weights; None for those of the run.
        num_classes: Number of classes of a network with random weights whose recipe leaves it to the data.
        warn: Receives a warning for every damaged checkpoint that is skipped.

    Raises:
        RecipeError: R241, a recipe without `weights="none"`, or neither run nor recipe; R200, R206; R251, a run has its
            own number of classes.
        CheckpointError: K412, K420 to K422, as `load_trained`.
    """
    source = os.fspath(here(source, warn))
    path = Path(source)
    require_source(source, weights)
    if weights == "none":
        return _random(source, num_classes)
    refuse_classes(source, num_classes)
    return _of_run(load_trained(path, warn), path)


def refuse_classes(source: str, num_classes: int | None) -> None:
    """Refuse a number of classes for a network whose weights decide it.

    Raises:
        RecipeError: R251, a number is given.
    """
    if num_classes is not None:
        raise RecipeError(
            "R251",
            f"`num_classes` does not apply to {printable(Path(source))}, whose weights have their own classes",
            "leave `num_classes` out",
        )


def _random(name: str, num_classes: int | None) -> Source:
    recipe = find_recipe(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = build_model(recipe, num_classes).eval()
    palette = palette_of(recipe)
    return Source(
        model=model,
        recipe=recipe,
        recipe_hash=recipe.hash(),
        palette=palette if len(palette) == model.num_classes else colorblind_palette(model.num_classes),
        weights_sha256="",
        licence=Licence(weights="none", code=code_licence(recipe)),
        score=None,
        run=None,
    )


def _of_run(trained: TrainedModel, run: Path) -> Source:
    model = trained.model
    return Source(
        model=QuantizedModel(model) if isinstance(model, QuantizationAwareModel) else model,
        recipe=trained.recipe,
        recipe_hash=trained.recipe_hash,
        palette=trained.palette,
        weights_sha256=trained.weights_sha256,
        licence=licence_of_run(run, trained.recipe),
        score=_score(trained, run),
        run=run,
    )


def _score(trained: TrainedModel, run: Path) -> Score | None:
    """Result of an evaluation of these very weights under a protocol of the recipe, or else the score from training."""
    evaluation = trained.recipe.evaluation
    for protocol in evaluation.protocols:
        result = find_result(run, evaluation.split, protocol)
        if result is not None and result.weights_sha256 == trained.weights_sha256:
            return Score(miou=result.miou, protocol=protocol, split=evaluation.split)
    miou = trained.checkpoint.manifest.miou
    if miou is None:
        return None
    return Score(miou=miou, protocol=evaluation.protocols[0], split=trained.recipe.selection.split)
