"""Teachers: trained networks that say what they see in the batches that another network is trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.datasets.classes.agreement import are_numbers, listed, order_of
from pixelwise.errors import CheckpointError
from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.distillation import distillation_loss, taught_probabilities
from pixelwise.models import SegmentationModel
from pixelwise.models.probabilities import NOTHING, probabilities
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.schema.recipe import Distillation, Recipe
from pixelwise.records.environment import Teacher
from pixelwise.storage import printable
from pixelwise.training.distillation.features import FeatureTeachers, load_feature_teachers
from pixelwise.training.distillation.identity import require_same
from pixelwise.training.distillation.kinds import teacher_path
from pixelwise.training.distillation.looking import (
    Compared,
    record_of_run,
    renormalisation,
    require_same_channels,
    require_same_range,
)

_LEAST = 1e-6
"""Probability of a class by itself below which, and above 1 minus which, answers do not go."""


class Sighted(NamedTuple):
    """A teacher and what it needs to look at the images of the network that it teaches.

    Attributes:
        model: The teacher, in evaluation mode on the device of the network.
        scale: (C, 1, 1), by which the network's normalised images are multiplied for the teacher; None for 1.
        shift: (C, 1, 1), added after that.
        order: For each class of the network, that of the teacher; None if they have the same order.
    """

    model: SegmentationModel
    scale: Tensor | None
    shift: Tensor | None
    order: Tensor | None

    def logits(self, images: Tensor) -> Tensor:
        """Main logits (B, K, h, w), in the network's order of classes, of images that are normalised for it."""
        if self.scale is not None and self.shift is not None:
            images = images * self.scale + self.shift
        logits = self.model.head_logits(images)[0]
        if self.model.scores == "probabilities":  # the logits whose softmax they are
            logits = probabilities(logits.float(), self.model.scores, dim=1).clamp(min=NOTHING).log()
        return logits if self.order is None else logits[:, self.order]


class Teachers:
    """The teachers of a network, which never change.

    Args:
        sighted: The teachers.
        distillation: Section of the recipe.
        multilabel: Whether a pixel may have several classes, or none.
        records: Where their weights come from.

    Attributes:
        records: Where their weights come from.
    """

    def __init__(
        self,
        sighted: Sequence[Sighted],
        distillation: Distillation,
        *,
        multilabel: bool,
        records: tuple[Teacher, ...],
    ) -> None:
        self._sighted, self._distillation, self._multilabel = tuple(sighted), distillation, multilabel
        self.records = records

    @torch.no_grad()
    def say(self, images: Tensor, like: Tensor, answers: Tensor | None = None) -> Tensor:
        """What the teachers say of a batch, on average.

        Args:
            images: (B, C, H, W) float, as the network gets them.
            like: (B, K, h, w), main logits of the network; the teachers' are resized to theirs, bilinearly.
            answers: Their `answer` about these images, (B, K, h, w) on any device; None: they look at them now.

        Returns:
            (B, K, h, w), see `taught_probabilities`.
        """
        if answers is not None:
            return self._probabilities(self._sighted[0].model, answers.to(like.device, non_blocking=True), like)
        said = []
        for one in self._sighted:
            said.append(self._probabilities(one.model, one.logits(images), like))
            if self._distillation.views == "flip":
                said.append(self._probabilities(one.model, one.logits(images.flip(3)).flip(3), like))
        return said[0] if len(said) == 1 else torch.stack(said).mean(0)

    @property
    def described(self) -> tuple[object, ...]:
        """Everything that an `answer` depends on but the images and the rounding, as plain values."""
        several = len(self._sighted) > 1 or self._distillation.views != "image"
        combined = (self._distillation.match, self._distillation.used_temperature, self._distillation.views)
        each = [
            (record.weights_sha256, msgspec.to_builtins(one.model.preprocessing), one.model.scores, _listed(one.order))
            for record, one in zip(self.records, self._sighted, strict=True)
        ]
        return (each, self._multilabel, combined if several else ())

    @torch.no_grad()
    def answer(self, images: Tensor) -> Tensor:
        """What the teachers say of images, for networks with logits of any size to be told later.

        Args:
            images: (B, C, H, W) float, as the network gets them.

        Returns:
            (B, K, h, w), at least float32, at the size of the first teacher's logits: these logits, if it alone looks
            once; otherwise logits whose `taught_probabilities` are the average of what all say.
        """
        first = at_least_float32(self._sighted[0].logits(images))
        if len(self._sighted) == 1 and self._distillation.views == "image":
            return first
        temperature, said = self._distillation.used_temperature, self.say(images, first)
        if self._multilabel and self._distillation.match != "channels":
            return temperature * said.logit(_LEAST)
        return temperature * said.clamp(min=NOTHING).log()

    @contextlib.contextmanager
    def watching(self, model: SegmentationModel) -> Iterator[Compared]:
        """Context of a forward pass of the network, whose main logits are what is compared."""
        yield lambda logits, images: logits[0]

    @property
    def learned(self) -> dict[str, nn.Parameter]:
        """What is trained beside the network: nothing."""
        return {}

    def loss(self, logits: Tensor, taught: Tensor, ranks: Ranks = ALONE) -> Tensor:
        """The weighted teacher's part of the loss, a scalar.

        Args:
            logits: (B, K, h, w), main logits of the network.
            taught: What the teachers `say` of the batch.
            ranks: The processes that have the other images of the batch.
        """
        part = distillation_loss(logits, taught, self._distillation, multilabel=self._multilabel, ranks=ranks)
        return self._distillation.weight * part

    def _probabilities(self, model: SegmentationModel, logits: Tensor, like: Tensor) -> Tensor:
        logits, size = at_least_float32(logits), like.shape[-2:]
        if logits.shape[-2:] != size:
            logits = F.interpolate(logits.contiguous(), size, mode="bilinear", align_corners=model.align_corners)
        return taught_probabilities(logits, self._distillation, multilabel=self._multilabel)


def load_teachers(recipe: Recipe, model: SegmentationModel, device: torch.device) -> Teachers | FeatureTeachers | None:
    """The teachers that a recipe names, or None.

    The random state of PyTorch stays as it is.

    Args:
        recipe: The resolved recipe of the network.
        model: The network that they teach.
        device: Device of the network.

    Raises:
        CheckpointError: As `load_trained`; K423, the record of a teacher is damaged; K452, it has other weights than
            the recipe says; K453, it has other classes or channels than the network, or another `data.input_range`.
            As `load_feature_teachers`.
        RecipeError: As `load_feature_teachers`.
    """
    section = recipe.distillation
    if not section.teachers:
        return None
    if section.match == "features":
        return load_feature_teachers(recipe, model, device)
    sighted, records = [], []
    hashes = section.teacher_sha256 or (None,) * len(section.teachers)
    for name, expected in zip(section.teachers, hashes, strict=True):
        folder = teacher_path(name)
        with torch.random.fork_rng([]):
            trained = load_trained(folder)
        if expected is not None:
            require_same(folder, trained.weights_sha256, expected)
        sighted.append(_looking(trained, folder, recipe, model, device))
        records.append(record_of_run(trained, folder, section.unlabelled_images))
    return Teachers(sighted, section, multilabel=model.multilabel, records=tuple(records))


def _looking(
    trained: TrainedModel, folder: Path, recipe: Recipe, model: SegmentationModel, device: torch.device
) -> Sighted:
    teacher = trained.model.requires_grad_(False).to(device)
    if recipe.precision.channels_last:
        teacher = teacher.to(memory_format=torch.channels_last)
    require_same_channels(trained.recipe, folder, recipe, teacher, model)
    require_same_range(trained.recipe, folder, recipe)
    order = _order(folder, teacher, model)
    scale, shift = renormalisation(model.preprocessing, teacher.preprocessing, device)
    return Sighted(teacher, scale, shift, None if order is None else torch.tensor(order, device=device))


def _order(folder: Path, teacher: SegmentationModel, model: SegmentationModel) -> tuple[int, ...] | None:
    """For each class of the network, that of the teacher; None if there is nothing to be put in order."""
    theirs, ours = teacher.classes, model.classes
    if teacher.multilabel == model.multilabel:
        if theirs == ours or (len(theirs) == len(ours) and (are_numbers(theirs) or are_numbers(ours))):
            return None
        order = order_of(ours, theirs)
        if order is not None:
            return None if order == tuple(range(len(order))) else order
    kinds = [f"{'multi-label ' if one.multilabel else ''}{listed(one.classes)}" for one in (teacher, model)]
    raise CheckpointError(
        "K453",
        f"the teacher {printable(folder)} has {len(theirs)} classes ({kinds[0]}), this network {len(ours)} "
        f"({kinds[1]}); a teacher has the same classes, in any order",
        "train a teacher on this data (pixelwise train RECIPE initialize.run=TEACHER begins with its weights)",
    )


def _listed(order: Tensor | None) -> list[int] | None:
    return None if order is None else order.tolist()
