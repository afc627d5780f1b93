"""Teachers of features: what their encoders compute, and the linear map by which a network is compared with it.

The map belongs to the training, as the optimizer does: checkpoints keep it beside the network, whose weights, average
and exports know nothing of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import RecipeError
from pixelwise.layers.precision import at_least_float32
from pixelwise.losses.features import feature_loss, normalised_features
from pixelwise.models import SegmentationModel
from pixelwise.models.encoding import crop_to_image, encode
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Distillation, Recipe
from pixelwise.records.environment import Teacher
from pixelwise.records.run_folder import is_run
from pixelwise.storage import printable
from pixelwise.training.distillation.identity import require_same, teaching_encoder
from pixelwise.training.distillation.kinds import teacher_path
from pixelwise.training.distillation.looking import (
    Compared,
    record_of_run,
    renormalisation,
    require_rgb,
    require_same_channels,
    require_same_range,
)
from pixelwise.training.features.recalling import unchanged

PROJECTION = "distillation.projection"
"""What the names of the parameters of the linear map begin with, for `optimizer.groups`."""
PROJECTION_STREAM = 18
"""Random stream of the initial weights of the linear map; that of batches is 17."""


class Featured(NamedTuple):
    """A teacher's encoder and what it needs to look at the images of the network that it teaches.

    Attributes:
        encoder: The encoder, in evaluation mode on the device of the network.
        preprocessing: The normalisation that it was trained with.
        stage: Index of the feature map that is compared, 0 or more.
        scale: (C, 1, 1), by which the network's normalised images are multiplied for it; None for 1.
        shift: (C, 1, 1), added after that.
    """

    encoder: Encoder
    preprocessing: Preprocessing
    stage: int
    scale: Tensor | None
    shift: Tensor | None

    @property
    def channels(self) -> int:
        """Number of channels of the feature map."""
        return self.encoder.channels[self.stage]

    def features(self, images: Tensor) -> Tensor:
        """The feature map (B, C, ceil(H / s), ceil(W / s)), at least float32, of images normalised for the network."""
        shown = images if self.scale is None or self.shift is None else images * self.scale + self.shift
        found = encode(self.encoder, shown)[self.stage]
        return at_least_float32(crop_to_image(found, images, self.encoder.strides[self.stage]))


class FeatureTeachers:
    """The teachers of a network's features, which never change, and the linear map, which is learned.

    Args:
        featured: The teachers' encoders.
        distillation: Section of the recipe.
        projection: From the channels of the network's feature map to those of all teachers, one after the other.
        stage: Index of the feature map of the network that is compared, 0 or more.
        stride: Its stride.
        records: Where the teachers' weights come from.

    Attributes:
        records: Where their weights come from.
    """

    def __init__(
        self,
        featured: Sequence[Featured],
        distillation: Distillation,
        projection: nn.Conv2d,
        *,
        stage: int,
        stride: int,
        records: tuple[Teacher, ...],
    ) -> None:
        self._featured, self._distillation, self._projection = tuple(featured), distillation, projection
        self._stage, self._stride, self.records = stage, stride, records
        self._channels = [one.channels for one in featured]

    @contextlib.contextmanager
    def watching(self, model: SegmentationModel) -> Iterator[Compared]:
        """Context of a forward pass of the network, after which the compared features are known.

        Yields:
            A function of the logits and the images that returns the mapped features of the network, (B, C, h, w).
        """
        seen: list[Tensor] = []
        handle = model.encoder.register_forward_hook(lambda module, given, maps: seen.append(maps[self._stage]))  # type: ignore[union-attr]
        try:
            yield lambda logits, images: self._projection(crop_to_image(seen[0], images, self._stride))
        finally:
            handle.remove()

    @property
    def learned(self) -> dict[str, nn.Parameter]:
        """The parameters of the linear map by name, which the optimizer trains beside the network."""
        return {f"{PROJECTION}.{name}": parameter for name, parameter in self._projection.named_parameters()}

    @torch.no_grad()
    def say(self, images: Tensor, like: Tensor, answers: Tensor | None = None) -> Tensor:
        """What the teachers say of a batch.

        Args:
            images: (B, C, H, W) float, as the network gets them.
            like: (B, C, h, w), the mapped features of the network; the teachers' are resized to theirs.
            answers: Their `answer` about these images on any device; None: they look at them now.

        Returns:
            (B, C, h, w), see `normalised_features`.
        """
        if answers is None:
            said = [_resized(self._seen_by(one, images), like) for one in self._featured]
        else:
            said = [_resized(at_least_float32(answers.to(like.device, non_blocking=True)), like)]
        return normalised_features(torch.cat(said, 1), self._channels)

    @property
    def described(self) -> tuple[object, ...]:
        """Everything that an `answer` depends on but the images and the rounding, as plain values."""
        each = [
            (record.weights_sha256, one.encoder.name, msgspec.to_builtins(one.preprocessing), one.stage)
            for record, one in zip(self.records, self._featured, strict=True)
        ]
        return ("features", each, self._distillation.views)

    @torch.no_grad()
    def answer(self, images: Tensor) -> Tensor:
        """What the teachers say of images, for networks with feature maps of any size to be told later.

        Args:
            images: (B, C, H, W) float, as the network gets them.

        Returns:
            (B, C, h, w), at least float32: the features of all teachers, not normalised, at the size of the first's.
        """
        first, *others = (self._seen_by(one, images) for one in self._featured)
        return torch.cat([first, *(_resized(one, first) for one in others)], 1)

    def loss(self, mapped: Tensor, taught: Tensor, ranks: Ranks = ALONE) -> Tensor:
        """The weighted teacher's part of the loss, a scalar.

        Args:
            mapped: (B, C, h, w), the mapped features of the network.
            taught: What the teachers `say` of the batch.
            ranks: The processes that have the other images of the batch.
        """
        return self._distillation.weight * feature_loss(mapped, taught, self._channels, ranks)

    def _seen_by(self, one: Featured, images: Tensor) -> Tensor:
        """The features of a teacher, averaged with those of the mirror image if `views` says so."""
        features = one.features(images)
        return (
            features if self._distillation.views == "image" else (features + one.features(images.flip(3)).flip(3)) / 2
        )


def load_feature_teachers(recipe: Recipe, model: SegmentationModel, device: torch.device) -> FeatureTeachers:
    """The teachers of features that a recipe names, with a linear map of random weights.

    The random state of PyTorch stays as it is: the weights of the map depend on `sampling.seed` alone.

    Args:
        recipe: The resolved recipe of the network.
        model: The network that they teach, on its device.
        device: Device of the network.

    Raises:
        CheckpointError: As `load_trained` and `teaching_encoder`; K423, the record of a teacher is damaged; K452, it
            has other weights than the recipe says; K453, it sees other channels, or another `data.input_range`.
        RecipeError: R299, the network or a teacher computes no feature maps, or none of that number; as
            `teaching_encoder`.
    """
    section = recipe.distillation
    encoder = _encoder_of(model, "this network")
    stage = _stage(encoder, section.stage, "stage", "this network")
    _require_computed(model)
    featured, records = [], []
    hashes = section.teacher_sha256 or (None,) * len(section.teachers)
    for name, expected in zip(section.teachers, hashes, strict=True):
        load = _of_run if is_run(teacher_path(name)) else _of_encoder
        one, record = load(name, expected, recipe, model)
        featured.append(_on_device(one, recipe, model, device))
        records.append(record)
    random = np.random.default_rng([recipe.sampling.seed, PROJECTION_STREAM])
    with torch.random.fork_rng([]):
        torch.manual_seed(int(random.integers(2**63)))
        projection = nn.Conv2d(encoder.channels[stage], sum(one.channels for one in featured), 1)
    layout = torch.channels_last if recipe.precision.channels_last else torch.contiguous_format
    projection = projection.to(device, _dtype_of(model)).to(memory_format=layout)  # type: ignore[call-overload]
    stride = encoder.strides[stage]
    return FeatureTeachers(featured, section, projection, stage=stage, stride=stride, records=tuple(records))


def _of_run(name: str, expected: str | None, recipe: Recipe, model: SegmentationModel) -> tuple[Featured, Teacher]:
    folder = teacher_path(name)
    with torch.random.fork_rng([]):
        trained = load_trained(folder, for_classes=False)
    if expected is not None:
        require_same(folder, trained.weights_sha256, expected)
    require_same_channels(trained.recipe, folder, recipe, trained.model, model)
    require_same_range(trained.recipe, folder, recipe)
    section, whose = recipe.distillation, f"the teacher {printable(folder)}"
    encoder = _encoder_of(trained.model, whose)
    stage = _stage(encoder, section.teacher_stage, "teacher_stage", whose)
    found = Featured(encoder, trained.model.preprocessing, stage, None, None)
    return found, record_of_run(trained, folder, section.unlabelled_images)


def _of_encoder(name: str, expected: str | None, recipe: Recipe, model: SegmentationModel) -> tuple[Featured, Teacher]:
    require_rgb(name, recipe)
    section, whose = recipe.distillation, f"the teacher {printable(Path(name))}"
    loaded = teaching_encoder(name, section)
    if expected is not None:
        require_same(name, loaded.sha256, expected)
    stage = _stage(loaded.encoder, section.teacher_stage, "teacher_stage", whose)
    record = Teacher(
        recipe=loaded.encoder.name,
        step=0,
        weights_sha256=loaded.sha256,
        licence=loaded.licence,
        encoder=Path(loaded.weights).name,
        encoder_licence=loaded.licence,
        unlabelled=section.unlabelled_images,
        only_encoder=True,
    )
    return Featured(loaded.encoder, loaded.preprocessing, stage, None, None), record


def _on_device(one: Featured, recipe: Recipe, model: SegmentationModel, device: torch.device) -> Featured:
    encoder = one.encoder.requires_grad_(False).eval().to(device, _dtype_of(model))
    if recipe.precision.channels_last:
        encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    scale, shift = renormalisation(model.preprocessing, one.preprocessing, device)
    return one._replace(encoder=encoder, scale=scale, shift=shift)


def _dtype_of(model: nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype


def _resized(features: Tensor, like: Tensor) -> Tensor:
    """Features at the size of others: bilinear, and where they become smaller, averaged over what a pixel covers."""
    size = like.shape[-2:]
    if features.shape[-2:] == size:
        return features
    return F.interpolate(features.contiguous(), size, mode="bilinear", align_corners=False, antialias=True)


def _encoder_of(model: SegmentationModel, whose: str) -> Encoder:
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, Encoder):
        raise RecipeError(
            "R299",
            f"distillation.match=features compares feature maps of encoders; {whose}, {type(model).__name__}, has no "
            "encoder of its own",
            "set distillation.match=logits with a run as a teacher, or choose another network, for example "
            "model.family=unet",
        )
    return encoder


def _stage(encoder: Encoder, stage: int, field: str, whose: str) -> int:
    """The index of a feature map, 0 or more."""
    number = len(encoder.channels)
    if -number <= stage < number:
        return stage % number
    maps = zip(range(number), encoder.strides, encoder.channels, strict=True)
    listed = ", ".join(f"{index} (stride {stride}, {channels} channels)" for index, stride, channels in maps)
    raise RecipeError(
        "R299",
        f"distillation.{field} is {stage}, but the encoder '{encoder.name}' of {whose} has the feature maps {listed}",
        f"set distillation.{field} to 0..{number - 1}, or leave it out for the coarsest",
    )


def _require_computed(model: SegmentationModel) -> None:
    """Refuse a network that takes its encoder apart, so that there are no feature maps to be compared.

    Raises:
        RecipeError: R299, it does.
    """
    seen: list[object] = []
    parameter = next(model.parameters())
    images = torch.zeros(1, model.preprocessing.in_channels, *model.traced_size, device=parameter.device)
    handle = model.encoder.register_forward_hook(lambda module, given, maps: seen.append(maps))  # type: ignore[union-attr]
    try:
        with torch.no_grad(), unchanged(model, parameter.device):
            model.eval()
            model.training_outputs(images.to(parameter.dtype))
    finally:
        handle.remove()
    if len(seen) != 1:
        raise RecipeError(
            "R299",
            f"distillation.match=features compares feature maps of encoders, but {type(model).__name__} computes none: "
            "its queries are a part of its encoder",
            "set distillation.match=logits with a run as a teacher, or choose another network, for example "
            "model.family=unet",
        )
