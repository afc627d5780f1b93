"""The state of a run: everything needed to resume it bit for bit."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from pixelwise.backbones.lora import adapted_layers, merged_state, without_adapters
from pixelwise.checkpoints.checkpoint import Checkpoint, damaged, remove_old_checkpoints, save_checkpoint
from pixelwise.checkpoints.soundness import require_sound
from pixelwise.checkpoints.trained import load_weights
from pixelwise.models import SegmentationModel
from pixelwise.ranks import ALONE, Ranks
from pixelwise.ranks.sharding import Sharded
from pixelwise.recipes.schema.recipe import Ema, Recipe, to_plain
from pixelwise.storage import printable
from pixelwise.training.distillation.features import FeatureTeachers
from pixelwise.training.distillation.teachers import Teachers, load_teachers
from pixelwise.training.memory import is_out_of_memory
from pixelwise.training.optimization.adapters import adapter_tensors, add_adapters, restore_adapters
from pixelwise.training.optimization.ema import build_average, update_average
from pixelwise.training.optimization.freezing import freeze_encoder
from pixelwise.training.optimization.optimizers import build_optimizer

ADAPTERS = "adapters"
"""File of a checkpoint with the original weights of adapted layers, and their adapters."""
BESIDE = "distillation"
"""File of a checkpoint with what is trained beside the network: the linear map to the teachers' features."""


Renewal = Callable[[SegmentationModel, Callable[[], bool]], None]
"""Called with a network, which it changes, and with what says whether it has to stop before that."""


class Progress(msgspec.Struct):
    """Progress of a run.

    Attributes:
        step: Number of optimizer steps done, including skipped ones.
        evaluated_step: Step of the last evaluation; -1 before the first.
        miou: Mean IoU of the evaluation at `evaluated_step`, 0..1.
        renewed_step: Last step, once its weights have their own statistics of normalisation layers without being
            evaluated; -1 before.
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
    renewed_step: int = -1
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
        self.teachers: Teachers | FeatureTeachers | None = None
        """The networks that the network learns from; every process has its own, and no checkpoint has them."""
        self.renew_statistics: Renewal | None = None
        """Gives a network that is evaluated, or saved as the last one, new statistics of its normalisation layers."""
        self.ranks = ALONE
        """The processes that all have this state."""
        self.sharded: Sharded[SegmentationModel] | None = None
        """The network, if every process keeps only a part of its parameters; the optimizer then moves that part."""
        self._sharded_average: Sharded[SegmentationModel] | None = None

    @property
    def beside(self) -> dict[str, nn.Parameter]:
        """Name -> parameter that is trained beside the network, without being a part of it or of its average.

        Every process has all of them.
        """
        return {} if self.teachers is None else self.teachers.learned

    def add_gradients_beside(self) -> None:
        """Give the parameters beside the network the sum of all processes' gradients, in the order of the processes."""
        for parameter in self.beside.values():
            if parameter.grad is not None:
                first, *others = self.ranks.gather(parameter.grad[None], lengths=[1] * self.ranks.world)[0]
                parameter.grad = functools.reduce(torch.add, others, first).view_as(parameter)

    def clip_gradients(self, limit: float) -> Tensor:
        """The L2 norm of the gradient, a scalar that all processes have, and the gradient with at most that norm.

        Called once, after all backward passes of a step.
        """
        beside = [parameter for parameter in self.beside.values() if parameter.grad is not None]
        if self.sharded is not None:
            return self.sharded.clip_gradients(limit, beside)
        parameters = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        return nn.utils.clip_grad_norm_([*parameters, *beside], limit)

    def update_average(self, ema: Ema, finite: Tensor | None = None) -> None:
        """Move the average, if there is one, towards the network after a step that `progress` does not count yet.

        Args:
            ema: Section `ema` of the recipe.
            finite: Boolean scalar on the device; if it is false, the average stays. None: it is true.
        """
        if self.average is not None:
            own, new = self._sharded_average or self.average, self.sharded or self.model
            update_average(own, new, ema, self.progress.step + 1, finite)

    def renew(self, network: SegmentationModel, stopped: Callable[[], bool] = lambda: False) -> None:
        """Renew the statistics of the network that `to_score` gives, if the recipe wants it; all processes call this.

        Raises:
            StoppedError: I074, `stopped` said yes before it was done.
        """
        if self.renew_statistics is not None:
            self.renew_statistics(network, stopped)

    @contextlib.contextmanager
    def to_score(self) -> Iterator[SegmentationModel]:
        """Context of the network that is evaluated: the average, if there is one. Every process has to enter it."""
        sharded = self.sharded if self.average is None else self._sharded_average
        if sharded is None:
            yield self.average or self.model
            return
        with sharded.put_together() as network:
            yield network

    def save(self, folder: Path, recipe: Recipe) -> Checkpoint:
        """Write a checkpoint, then delete the old ones that `checkpoints.keep` does not retain.

        Of several processes the first one calls this, the others `take_part_in_saving`.
        """
        tensors = self._tensors()
        try:
            return self._write(folder, recipe, tensors)
        finally:
            self._written()

    def _write(self, folder: Path, recipe: Recipe, tensors: dict[str, dict[str, Tensor]]) -> Checkpoint:
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

    def take_part_in_saving(self) -> None:
        """Give the first process, which writes a checkpoint, what only this one has."""
        if self.sharded is not None:
            self._tensors()
            self._written()

    def _written(self) -> None:
        if self.sharded is not None:
            self.ranks.told(None)  # a large network takes a slow disk longer than processes wait for each other

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
        for name, network in (("model", self.model), ("ema", self.average)):
            if network is not None:
                # A checkpoint has the merged weights of adapted layers, and beside them what they consist of.
                with without_adapters(network):
                    load_weights(network, checkpoint, name)
        if adapted_layers(self.model):
            self._restore_file(checkpoint, ADAPTERS, functools.partial(restore_adapters, self.model, self.average))
        if self.beside:
            self._restore_file(checkpoint, BESIDE, self._restore_beside)
        self._restore_file(checkpoint, "training", self._restore_training)
        self.progress = progress

    def _restore_file(self, checkpoint: Checkpoint, name: str, restoring: Callable[[dict[str, Tensor]], None]) -> None:
        tensors = checkpoint.tensors(name)
        require_sound(tensors, f"{printable(checkpoint.path)}/{name}.safetensors")
        try:
            restoring(tensors)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise damaged(checkpoint.path, f"its {name}.safetensors does not fit: {printable(reason)}") from error

    def share(self, ranks: Ranks, *, divided: bool = False) -> None:
        """Give all processes the state of the first one; its random generator is not a part of what they share.

        Args:
            ranks: The processes.
            divided: Whether each of them then keeps only a part of the parameters, their average and moments.
        """
        self.ranks = ranks
        if ranks.world == 1:
            return
        self.progress = ranks.told(self.progress)
        ranks.share([*self.model.state_dict().values()])
        if self.average is not None:
            ranks.share([*self.average.state_dict().values()])
        ranks.share([parameter.data for parameter in self.beside.values()])
        parameters = [*self.model.parameters(), *self.beside.values()]
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
        if divided:
            self._divide(ranks)

    def _divide(self, ranks: Ranks) -> None:
        before = dict(self.model.named_parameters())
        self.sharded = sharded = Sharded(self.model, self.model.training_outputs, ranks)
        if self.average is not None:
            self._sharded_average = Sharded(self.average, self.average.training_outputs, ranks)
        names = {id(parameter): name for name, parameter in before.items()}
        for group in self.optimizer.param_groups:
            group["params"] = [
                sharded.parts[names[id(parameter)]] if id(parameter) in names else parameter
                for parameter in group["params"]
            ]
        moments = dict(self.optimizer.state)
        self.optimizer.state.clear()
        for parameter, values in moments.items():
            if id(parameter) not in names:  # of what every process has all
                self.optimizer.state[parameter] = values
                continue
            name = names[id(parameter)]
            self.optimizer.state[sharded.parts[name]] = {
                key: sharded.part_of(name, value) if _is_moment(value) else value for key, value in values.items()
            }

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        """File of a checkpoint -> its tensors, those of all processes, which all have to call this."""
        if self.sharded is None:
            tensors = {"model": merged_state(self.model), "training": self._training_tensors()}
            if self.average is not None:
                tensors["ema"] = merged_state(self.average)
            if adapters := adapter_tensors(self.model, self.average):
                tensors[ADAPTERS] = adapters
            return tensors | self._tensors_beside()
        # Nothing is gathered unless all are here: one that an error of its own has led here must not mix up tensors.
        self.ranks.wait()
        tensors = {"model": self.sharded.whole_state(everywhere=False), "training": self._training_tensors()}
        if self._sharded_average is not None:
            tensors["ema"] = self._sharded_average.whole_state(everywhere=False)
        return tensors | self._tensors_beside()

    def _tensors_beside(self) -> dict[str, dict[str, Tensor]]:
        beside = dict(self.beside)
        return {BESIDE: {name: parameter.data for name, parameter in beside.items()}} if beside else {}

    def _restore_beside(self, tensors: dict[str, Tensor]) -> None:
        for name, parameter in self.beside.items():
            if tensors[name].shape != parameter.shape:
                raise ValueError(f"{name} is {tuple(tensors[name].shape)} instead of {tuple(parameter.shape)}")
            parameter.data.copy_(tensors[name])

    def _training_tensors(self) -> dict[str, Tensor]:
        trained = {**(self.sharded.parts if self.sharded is not None else dict(self.model.named_parameters()))}
        trained |= self.beside
        tensors = {"random.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        # In an order that is the same in all processes, of which one may have restored them and the others not.
        for name, parameter in trained.items():
            for key, value in sorted(self.optimizer.state.get(parameter, {}).items()):
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{key}.{name}"] = self._whole(name, value) if _is_moment(value) else value
        return tensors

    def _whole(self, name: str, moment: Tensor) -> Tensor:
        if self.sharded is None or name in self.beside:
            return moment
        whole = self.sharded.whole(name, moment)
        return whole.cpu() if self.ranks.first else moment

    def _restore_training(self, tensors: dict[str, Tensor]) -> None:
        torch.set_rng_state(tensors.pop("random.cpu"))
        cuda = tensors.pop("random.cuda", None)
        if cuda is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(cuda, self.device)
        parameters = {**dict(self.model.named_parameters()), **self.beside}
        for name, tensor in tensors.items():
            _, key, parameter_name = name.split(".", 2)
            parameter = parameters[parameter_name]
            # Fused optimizers traverse parameter and moments in memory order, so their layouts must agree, and expect
            # the step counter on the parameter's device.
            value = tensor.to(parameter.device)
            if key != "step":
                value = torch.empty_like(parameter, dtype=tensor.dtype).copy_(value)
            self.optimizer.state[parameter][key] = value


def _is_moment(value: object) -> bool:
    """Whether a value of an optimizer has the shape of its parameter, and is not the number of steps."""
    return isinstance(value, Tensor) and value.dim() > 0


def begin_state(model: SegmentationModel, recipe: Recipe, device: torch.device) -> TrainingState:
    """The state before the first step: the network on its device and in its memory layout, its average and optimizer.

    Args:
        model: The network with its initial weights.
        recipe: Only its `precision.channels_last`, `initialize`, `ema`, `optimizer`, `distillation` and what a
            teacher has to agree with are used.
        device: Device to train on.

    Raises:
        RecipeError: R295, there is no encoder to freeze; R297, as `add_adapters`; as `build_optimizer` and
            `load_teachers`.
        CheckpointError: As `load_teachers`.
    """
    if recipe.initialize.keeps_encoder:
        freeze_encoder(model)
    if recipe.initialize.adapter.rank:
        add_adapters(model, recipe.initialize.adapter)  # drawn here, so that every device gets the same
    model = model.to(device)
    if recipe.precision.channels_last:
        model = model.to(memory_format=torch.channels_last)
    average = build_average(model) if recipe.ema is not None else None
    teachers = load_teachers(recipe, model, device)
    beside = {} if teachers is None else teachers.learned
    state = TrainingState(model, average, build_optimizer(model, recipe.optimizer, beside))
    state.teachers = teachers
    return state
