"""Contract check for segmentation networks."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.models import SegmentationModel, build_model
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import Loss, Optimizer, Recipe, Sampling, Schedule
from pixelwise.training.batches import Batch
from pixelwise.training.optimization.optimizers import build_optimizer
from pixelwise.training.state import TrainingState
from pixelwise.training.step import train_step

ODD_SIZES = ((33, 47), (250, 333))
"""(height, width) of images that no stride divides."""
CROP = (64, 64)
LARGER_CROP = (256, 256)
"""Tried where `CROP` leaves a parameter without a gradient: in a map of one pixel, normalisation undoes every shift."""


def check_model(model: str | Recipe | Spec | SegmentationModel, num_classes: int = 5, *, heavy: bool = True) -> None:
    """Check that a network fulfils the contract of `SegmentationModel`.

    It can be built; its attributes agree with its spec; an image of any size gives finite logits of that size, alone or
    in a batch; its heads cover the image at their stride; training on two crops of 64x64, or else of 256x256, gives
    every parameter a gradient; another instance with the same weights gives equal logits; `torch.export` captures it;
    two training steps on drawn street scenes change the weights and leave them finite.

    Args:
        model: Name of a recipe or its file, a recipe, a spec, or a network (which is not changed).
        num_classes: Number of classes to build the network with; ignored if `model` is a network.
        heavy: Include checks that take seconds for a large network: 250x333 images, export and training.

    Raises:
        AssertionError: The network breaks the contract; the message says where.
    """
    if isinstance(model, nn.Module) and not isinstance(model, SegmentationModel):
        raise AssertionError(f"{type(model).__name__} is not a SegmentationModel; derive it from that class")
    torch.manual_seed(0)
    if isinstance(model, SegmentationModel):
        built, other = copy.deepcopy(model), _with_other_weights(model)
    else:
        built = build_model(model, num_classes)
        torch.manual_seed(1)
        other = build_model(model, num_classes)
    name = type(built).__name__
    _check_identity(built, name)
    _check_logits(built.eval(), name, ODD_SIZES if heavy else ODD_SIZES[:1])
    with _failures_named(f"{name}: loading its weights into another instance"):
        _check_round_trip(built, other.eval(), name)
    if heavy:
        with _failures_named(f"{name}: torch.export"):
            _check_export(built, name)
    with _failures_named(f"{name}: training on crops of {CROP}"):
        _check_gradients(copy.deepcopy(built), name)
        if heavy:
            _check_training(copy.deepcopy(built), name)


@contextlib.contextmanager
def _failures_named(what: str) -> Iterator[None]:
    """Turn any exception into an AssertionError that names the failing step."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise AssertionError(f"{what} fails: {reason}") from error


def _with_other_weights(model: SegmentationModel) -> SegmentationModel:
    """A copy with other random weights."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
    return other


def _require(condition: bool | Tensor, sentence: str) -> None:
    if not bool(condition):
        raise AssertionError(sentence)


def _check_identity(model: SegmentationModel, name: str) -> None:
    _require(
        model.num_classes == len(model.classes),
        f"{name}: num_classes is {model.num_classes}, but classes has {len(model.classes)} names",
    )
    _require(model.preprocessing == model.spec.preprocessing, f"{name}: preprocessing differs from that of its spec")


@torch.no_grad()
def _check_logits(model: SegmentationModel, name: str, sizes: tuple[tuple[int, int], ...]) -> None:
    outputs = model.num_classes
    for size in ((1, 1), *sizes):
        with _failures_named(f"{name}: an image of {size}"):
            logits = model(torch.rand(1, model.preprocessing.in_channels, *size))
        shape = (1, outputs, *size)
        _require(
            logits.shape == shape, f"{name}: an image of {size} gives logits {tuple(logits.shape)}; expected {shape}"
        )
        _require(logits.isfinite().all(), f"{name}: an image of {size} gives logits that are not finite")
        _require(
            model.scores == "logits" or logits.min() >= 0,
            f"{name}: its scores are probabilities, but an image of {size} gives a score below 0",
        )
    whole = model.head_logits(torch.rand(1, model.preprocessing.in_channels, *CROP))
    _require(len(whole) == 1, f"{name}: head_logits returns {len(whole)} tensors in evaluation mode; expected 1")
    stride = CROP[1] // whole[0].shape[-1]
    odd = model.head_logits(torch.rand(1, model.preprocessing.in_channels, 33, 47))[0]
    expected = (1, outputs, -(-33 // stride), -(-47 // stride))
    _require(
        odd.shape == expected,
        f"{name}: a head of stride {stride} gives logits {tuple(odd.shape)} for an image of (33, 47); "
        f"expected {expected}",
    )
    images = torch.rand(2, model.preprocessing.in_channels, 32, 48)
    together, alone = model(images)[1:], model(images[1:])
    _require(
        _equal_but_for_rounding(together, alone),
        f"{name}: the logits of an image depend on the other images of the batch",
    )


def _equal_but_for_rounding(found: Tensor, expected: Tensor) -> bool:
    """Whether logits differ by no more than rounding, which grows with the largest of them."""
    return torch.allclose(found, expected, atol=max(1e-4, 1e-5 * float(expected.abs().max())), rtol=1e-3)


@torch.no_grad()
def _check_round_trip(model: SegmentationModel, other: SegmentationModel, name: str) -> None:
    other.load_state_dict(model.state_dict())
    images = torch.rand(1, model.preprocessing.in_channels, 40, 56)
    _require(torch.equal(model(images), other(images)), f"{name}: equal weights give different logits")


def _check_export(model: SegmentationModel, name: str) -> None:
    images = torch.rand(1, model.preprocessing.in_channels, 33, 47)
    exported = torch.export.export(model, (images,), strict=False).module()
    with torch.no_grad():
        expected, found = model(images), exported(images)
    _require(
        _equal_but_for_rounding(found, expected),
        f"{name}: the graph of torch.export gives different logits",
    )


def _check_gradients(model: SegmentationModel, name: str) -> None:
    # The weight of a residual branch's last normalisation may start at 0, which blocks the gradient of the branch.
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.weight is not None:
            nn.init.constant_(module.weight, 1.0)
        if module.__class__.__name__ == "LayerScale":
            for parameter in module.parameters():
                nn.init.constant_(parameter, 1.0)
    model.train()
    _without_stochastic_depth(model)
    if _unmoved(model, name, CROP):
        model.zero_grad()
        unmoved = _unmoved(model, name, LARGER_CROP)
        _require(not unmoved, f"{name}: the gradient of {', '.join(unmoved[:1])} is 0 everywhere")


def _unmoved(model: SegmentationModel, name: str, crop: tuple[int, int]) -> list[str]:
    """Names of the parameters whose gradient is 0 everywhere in training on two crops; others are finite."""
    unmoved = []
    outputs = model.training_outputs(torch.rand(2, model.preprocessing.in_channels, *crop))
    losses = [output.square().mean() for output in outputs]
    torch.stack(losses).sum().backward()
    for parameter_name, parameter in model.named_parameters():
        gradient = parameter.grad
        _require(gradient is not None, f"{name}: training does not reach {parameter_name}")
        if gradient is not None:
            _require(gradient.isfinite().all(), f"{name}: the gradient of {parameter_name} is not finite")
            if not gradient.any():
                unmoved.append(parameter_name)
    return unmoved


def _without_stochastic_depth(model: nn.Module) -> None:
    """Switch off stochastic depth: a residual branch that is dropped for the whole batch rightly has no gradient."""
    for module in model.modules():
        for name in ("drop_prob", "drop_path"):  # in timm's layers, in Pixelwise's
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def _check_training(model: SegmentationModel, name: str) -> None:
    recipe = Recipe(
        name="contract",
        model=model.spec,
        loss=Loss(auxiliary=0.4),
        optimizer=Optimizer(kind="sgd", lr=1e-3, momentum=0.9),
        schedule=Schedule(iterations=2),
        sampling=Sampling(batch_size=2),
    )
    state = TrainingState(model, None, build_optimizer(model, recipe.optimizer))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for step in range(2):
        outcome = train_step(
            recipe,
            state,
            model.training_outputs,
            [_scenes(step, model.num_classes, model.preprocessing.in_channels)],
            None,
        )
        _require(
            outcome.kind == "done", f"{name}: training step {step + 1} was {outcome.kind}, loss {float(outcome.loss)}"
        )
    after = model.state_dict()
    _require(any(not torch.equal(after[key], before[key]) for key in after), f"{name}: training changed no weights")
    for key, value in after.items():
        _require(value.isfinite().all(), f"{name}: after two training steps {key} is not finite")


def _scenes(step: int, num_classes: int, channels: int) -> Batch:
    """Two drawn street scenes of 64x64; classes that the network lacks are ignored, channels repeat RGB."""
    colors = [channel % 3 for channel in range(channels)]
    pairs = [draw_scene(0, 2 * step + index, CROP) for index in range(2)]
    labels = torch.stack([torch.from_numpy(labels) for _, labels in pairs])
    return Batch(
        images=torch.stack([torch.from_numpy(image[..., colors]) for image, _ in pairs]),
        labels=labels.where(labels < num_classes, torch.full_like(labels, 255)),
        colors=None,
        ids=[f"scene {2 * step + index}" for index in range(2)],
    )
