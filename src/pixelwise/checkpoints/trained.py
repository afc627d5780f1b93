"""Loading of the trained model of a run."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from pixelwise.checkpoints.checkpoint import Checkpoint, best_checkpoint, newest_checkpoint
from pixelwise.checkpoints.soundness import require_sound, warn_of
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.quantization.aware import quantization_aware
from pixelwise.observer import Warn
from pixelwise.recipes.class_sets.tables import Color
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.advice import next_training
from pixelwise.records.history import run_hash
from pixelwise.records.run_folder import CHECKPOINTS, naming_missing_packages, palette_of, read_recipe
from pixelwise.storage import printable


class TrainedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A trained model with the origin of its weights.

    Attributes:
        model: The model, in evaluation mode on the CPU.
        recipe: The run's resolved recipe.
        recipe_hash: SHA-256 of the recipe, or of the whole history of a run that was resumed with another schedule.
        checkpoint: The checkpoint that the weights were read from.
        weights: The checkpoint's file that was read: `ema` (averaged weights) or `model`.
        palette: One colour per class.
    """

    model: SegmentationModel
    recipe: Recipe
    recipe_hash: str
    checkpoint: Checkpoint
    weights: str
    palette: tuple[Color, ...]

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file."""
        return self.checkpoint.sha256(self.weights)


def load_trained(run: Path, warn: Warn | None = None, *, for_classes: bool = True) -> TrainedModel:
    """Load the result of a run: the best or the last checkpoint, as its recipe says.

    Averaged weights are preferred if the run kept an average.

    Args:
        run: The run folder.
        warn: Receives warnings about damaged checkpoints and implausible values.
        for_classes: Whether it has to know classes, and not features alone.

    Raises:
        CheckpointError: K420 not a run, K421 no checkpoint yet, K412 all damaged; K423, the history is damaged; K455,
            it has learned features alone; K480 or K481, impossible values.
        RecipeError: R273, packages of its plug-ins are not installed here; also the errors of `read_recipe`.
    """
    recipe = read_recipe(run)
    if for_classes and not recipe.learns_classes:
        raise CheckpointError(
            "K455",
            f"{printable(run)} has learned the features of its teachers alone (distillation.match=features without "
            "labels): its encoder is trained, its head is as random as it began, so it knows no classes",
            f"begin a training with its encoder: {next_training(run, recipe)}",
        )
    checkpoint, weights = result_of(run, recipe, warn)
    with naming_missing_packages(run):
        model = quantization_aware(build_model(recipe), recipe.quantization)
    load_weights(model, checkpoint, weights, warn)
    return TrainedModel(
        model=model.eval(),
        recipe=recipe,
        recipe_hash=run_hash(run, recipe),
        checkpoint=checkpoint,
        weights=weights,
        palette=palette_of(recipe),
    )


def result_of(run: Path, recipe: Recipe, warn: Warn | None = None) -> tuple[Checkpoint, str]:
    """The checkpoint that holds the result of a run, and the name of its weights: `ema` or `model`.

    Raises:
        CheckpointError: K421 no checkpoint yet, K412 all damaged.
    """
    folder = run / CHECKPOINTS
    checkpoint = best_checkpoint(folder, warn) if recipe.selection.weights == "best" else None
    checkpoint = checkpoint or newest_checkpoint(folder, warn)
    if checkpoint is None:
        raise CheckpointError(
            "K421",
            f"{printable(run)} has no checkpoint yet",
            f"continue it with: pixelwise resume {shlex.quote(printable(run))}",
        )
    return checkpoint, "ema" if checkpoint.has("ema") else "model"


def load_weights(model: SegmentationModel, checkpoint: Checkpoint, name: str, warn: Warn | None = None) -> None:
    """Load the tensors of the checkpoint's `{name}.safetensors` into `model`.

    Args:
        model: The network; unchanged if the tensors are refused.
        checkpoint: A valid checkpoint.
        name: The file, without its ending.
        warn: Receives a W480 for implausible values.

    Raises:
        CheckpointError: K422, the tensors are of another network; K480 or K481, their values are impossible.
    """
    tensors = checkpoint.tensors(name)
    own = model.state_dict()
    wrong = [
        f"{key} {tuple(tensors[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    missing = [key for key in own if key not in tensors]
    unknown = [key for key in tensors if key not in own]
    if wrong or missing or unknown:
        differences = [
            *wrong,
            *(f"{key} is missing" for key in missing),
            *(f"{key} is unknown" for key in unknown),
        ]
        raise CheckpointError(
            "K422",
            f"{printable(checkpoint.path)} holds the weights of another network: {'; '.join(differences[:3])}"
            + (f" and {len(differences) - 3} more" if len(differences) > 3 else ""),
            "the recipe in the run folder must be the one that the weights were trained with",
        )
    where = f"{printable(checkpoint.path)}/{name}.safetensors"
    warn_of(require_sound(tensors, where, initial=own), where, warn)
    model.load_state_dict(tensors)
