"""The state of a run: everything needed to resume it bit for bit."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch
from torch import Tensor

from pixelwise.checkpoints.checkpoint import Checkpoint, damaged, remove_old_checkpoints, save_checkpoint
from pixelwise.checkpoints.soundness import require_sound
from pixelwise.checkpoints.trained import load_weights
from pixelwise.models import SegmentationModel
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.storage import printable
from pixelwise.training.memory import is_out_of_memory
from pixelwise.training.optimization.ema import build_average
from pixelwise.training.optimization.optimizers import build_optimizer


class Progress(msgspec.Struct):
    """Progress of a run.

    Attributes:
        step: Number of optimizer steps done, including skipped ones.
        evaluated_step: Step of the last evaluation; -1 before the first.
        miou: Mean IoU of the evaluation at `evaluated_step`, 0..1.
        best_miou: Highest mean IoU so far, 0..1.
        best_step: Step of the evaluation with `best_miou`; -1 before the first.
        improved_miou: Mean IoU of the last evaluation that was an improvement in the sense of `selection.min_delta`.
        stale_evaluations: Number of evaluations since `improved_miou`.
        longest_stale: Largest value of `stale_evaluations` so far.
        skipped: Number of steps that changed no weight because the loss or a gradient was not finite.
        void: Number of steps that changed no weight because no pixel was labelled.
        bad_in_a_row: Number of non-finite steps since the last good one.
        seconds: Time spent training and evaluating, over all resumes.
        resumes: Number of times the run was resumed.
        peak_memory_bytes: Peak memory in training, of the GPU or of the process.
    """

    step: int = 0
    evaluated_step: int = -1
    miou: float | None = None
    best_miou: float | None = None
    best_step: int = -1
    improved_miou: float | None = None
    stale_evaluations: int = 0
    longest_stale: int = 0
    skipped: int = 0
    void: int = 0
    bad_in_a_row: int = 0
    seconds: float = 0.0
    resumes: int = 0
    peak_memory_bytes: int = 0


class _Saved(msgspec.Struct):
    """The part of `state.json` that is restored."""

    progress: Progress


class TrainingState:
    """Model, average, optimizer and progress of a run, saved and restored together.

    Args:
        model: The network, on its device.
        average: Moving average of its weights, or None.
        optimizer: Optimizer of the parameters of `model`.
    """

    def __init__(
        self, model: SegmentationModel, average: SegmentationModel | None, optimizer: torch.optim.Optimizer
    ) -> None:
        self.model = model
        self.average = average
        self.optimizer = optimizer
        self.device = next(model.parameters()).device
        self.progress = Progress()
        self.ranks = ALONE
        """The processes that all have this state."""

    def save(self, folder: Path, recipe: Recipe) -> Checkpoint:
        """Write a checkpoint, then delete the old ones that `checkpoints.keep` does not retain."""
        tensors = {"model": self.model.state_dict(), "training": self._training_tensors()}
        if self.average is not None:
            tensors["ema"] = self.average.state_dict()
        progress = self.progress
        checkpoint = save_checkpoint(
            folder,
            step=progress.step,
            tensors=tensors,
            state={"progress": msgspec.to_builtins(progress), "recipe": to_plain(recipe)},
            miou=progress.miou if progress.evaluated_step == progress.step else None,
            metadata={
                "recipe": recipe.name,
                "classes": self.model.classes,
                "model": msgspec.to_builtins(recipe.model),
                **({"multilabel": True} if self.model.multilabel else {}),
                "step": progress.step,
            },
        )
        remove_old_checkpoints(folder, recipe.checkpoints.keep)
        return checkpoint

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore everything, including the random generators, from a checkpoint.

        Raises:
            CheckpointError: K410, the state of the training cannot be restored from it; K411 or K422, the checkpoint
                belongs to another network; K480 or K481, its values are impossible.
        """
        progress = checkpoint.state(_Saved).progress
        if "longest_stale" not in checkpoint.state()["progress"]:
            # Older versions did not count it; every evaluation takes at least a step.
            progress.longest_stale = progress.step
        load_weights(self.model, checkpoint, "model")
        if self.average is not None:
            load_weights(self.average, checkpoint, "ema")
        tensors = checkpoint.tensors("training")
        require_sound(tensors, f"{printable(checkpoint.path)}/training.safetensors")
        try:
            self._restore_training(tensors)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise damaged(checkpoint.path, f"its training.safetensors does not fit: {printable(reason)}") from error
        self.progress = progress

    def share(self, ranks: Ranks) -> None:
        """Give all processes the state of the first one; its random generator is not a part of what they share."""
        self.ranks = ranks
        if ranks.world == 1:
            return
        self.progress = ranks.told(self.progress)
        ranks.share([*self.model.state_dict().values()])
        if self.average is not None:
            ranks.share([*self.average.state_dict().values()])
        parameters = list(self.model.parameters())
        kinds = ranks.told(
            [
                {
                    key: (tuple(value.shape), value.dtype, value.device.type) if isinstance(value, Tensor) else value
                    for key, value in self.optimizer.state.get(parameter, {}).items()
                }
                for parameter in parameters
            ]
        )
        for parameter, values in zip(parameters, kinds, strict=True):
            own = self.optimizer.state[parameter] if values else {}
            for key, kind in values.items():
                if not isinstance(kind, tuple):
                    own[key] = kind
                    continue
                shape, dtype, place = kind
                if key not in own and shape == tuple(parameter.shape):
                    own[key] = torch.empty_like(parameter, dtype=dtype)  # in its memory layout
                elif key not in own:
                    own[key] = torch.zeros(shape, dtype=dtype, device=parameter.device if place != "cpu" else "cpu")
                ranks.share([own[key]])

    def _training_tensors(self) -> dict[str, Tensor]:
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        tensors = {"random.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        for parameter, values in self.optimizer.state.items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{key}.{names[id(parameter)]}"] = value
        return tensors

    def _restore_training(self, tensors: dict[str, Tensor]) -> None:
        torch.set_rng_state(tensors.pop("random.cpu"))
        cuda = tensors.pop("random.cuda", None)
        if cuda is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(cuda, self.device)
        parameters = dict(self.model.named_parameters())
        for name, tensor in tensors.items():
            _, key, parameter_name = name.split(".", 2)
            parameter = parameters[parameter_name]
            # Fused optimizers traverse parameter and moments in memory order, so their layouts must agree, and expect
            # the step counter on the parameter's device.
            value = tensor.to(parameter.device)
            if key != "step":
                value = torch.empty_like(parameter, dtype=tensor.dtype).copy_(value)
            self.optimizer.state[parameter][key] = value


def begin_state(model: SegmentationModel, recipe: Recipe, device: torch.device) -> TrainingState:
    """The state before the first step: the network on its device and in its memory layout, its average and optimizer.

    Args:
        model: The network with its initial weights.
        recipe: Only its `precision.channels_last`, `ema` and `optimizer` are used.
        device: Device to train on.
    """
    model = model.to(device)
    if recipe.precision.channels_last:
        model = model.to(memory_format=torch.channels_last)
    average = build_average(model) if recipe.ema is not None else None
    return TrainingState(model, average, build_optimizer(model, recipe.optimizer))
