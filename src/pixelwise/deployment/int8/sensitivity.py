"""Sensitivity of layers to int8: in PyTorch, one layer at a time is rounded as in int8 and the loss is measured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.deployment.export.images import VerificationImages
from pixelwise.evaluation.pairs import EvaluationPair, read_split
from pixelwise.evaluation.passes import predict_pair
from pixelwise.evaluation.tally import Tally, task_of
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer
from pixelwise.prediction.network import main_logits, prediction_mode
from pixelwise.runtimes.graphs import ExportedNetwork

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
LEVELS = 255
Item = TypeVar("Item")


class LayerCost(msgspec.Struct, frozen=True, kw_only=True):
    """Cost of one layer in int8 while all others stay in float.

    Attributes:
        name: Path of the layer in the network.
        unequal_pixels: Share of pixels whose class changes, 0..1.
        miou_drop: Loss of mean IoU on the measured images, 0..1; None without labels.
    """

    name: str
    unequal_pixels: float
    miou_drop: float | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """Sort key, larger for a higher cost: loss of mIoU first, then the share of changed pixels."""
        return (self.miou_drop or 0.0, self.unequal_pixels)


class Range(NamedTuple):
    """Minimum and maximum of a layer's input, averaged over images; the range always includes 0."""

    low: float
    high: float


def layer_costs(
    network: ExportedNetwork,
    calibration: Iterable[np.ndarray],
    images: VerificationImages,
    count: int,
    observer: Observer = SILENT,
) -> list[LayerCost]:
    """Measure the cost of every layer.

    The weights are rounded to int8 per output channel, and the layer's input to uint8 over its range on the
    calibration images; both quantizers do this, apart from details in which they differ.

    Args:
        network: The network to be quantized.
        calibration: uint8 (H, W, C) images to find the input ranges on.
        images: Images to predict.
        count: Largest number of images to predict; they are evenly spaced.
        observer: Receives the number of finished layers.

    Returns:
        The layers by descending cost.

    Raises:
        DataError: An image or a mask cannot be read.
    """
    model = network.model
    ranges = input_ranges(model, calibration)
    score = _Scorer(model, images, count)
    modules = dict(model.named_modules())
    costs = []
    observer.phase("measuring what each layer costs in int8")
    with prediction_mode(model):
        reference = score()
        for done, (name, limits) in enumerate(ranges.items()):
            observer.progress(done, len(ranges))
            with rounded(modules[name], limits):
                found = score(reference.labels)
            drop = None if reference.miou is None or found.miou is None else reference.miou - found.miou
            costs.append(LayerCost(name=name, unequal_pixels=found.unequal, miou_drop=drop))
    observer.progress(len(ranges), len(ranges))
    return sorted(costs, key=lambda cost: cost.rank, reverse=True)


def input_ranges(model: SegmentationModel, images: Iterable[np.ndarray]) -> dict[str, Range]:
    """Input ranges of the layers that prediction uses, in the order in which they run.

    Args:
        model: The network.
        images: uint8 (H, W, C) images.
    """
    seen: dict[str, list[tuple[float, float]]] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = (float(value) for value in torch.aminmax(inputs[0]))
            seen.setdefault(name, []).append((min(low, 0.0), max(high, 0.0)))

        return look

    with contextlib.ExitStack() as hooks, prediction_mode(model):
        for name, module in model.named_modules():
            if isinstance(module, LAYERS):
                hooks.callback(module.register_forward_pre_hook(watch(name)).remove)
        for image in images:
            main_logits(model, [image])
    return {name: Range(*(float(value) for value in np.mean(pairs, axis=0))) for name, pairs in seen.items()}


@contextlib.contextmanager
def rounded(module: nn.Module, limits: Range) -> Iterator[None]:
    """Let a layer compute as in int8 within the block.

    Args:
        module: The layer; its weights are restored afterwards.
        limits: Range of the layer's input.
    """
    weight = module.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(module).__name__} has no weights")
    before = weight.data
    weight.data = rounded_weights(before, axis=1 if isinstance(module, nn.ConvTranspose2d) else 0)
    scale = (limits.high - limits.low) / LEVELS or 1.0
    zero = round(-limits.low / scale)

    def round_input(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        steps = (inputs[0] / scale).round().add(zero).clamp(0, LEVELS)
        return ((steps - zero) * scale, *inputs[1:])

    hook = module.register_forward_pre_hook(round_input)
    try:
        yield
    finally:
        hook.remove()
        weight.data = before


def rounded_weights(weight: Tensor, axis: int) -> Tensor:
    """Weights rounded to int8 with one scale per slice along `axis`, returned in their own dtype."""
    others = [dimension for dimension in range(weight.ndim) if dimension != axis]
    scale = weight.abs().amax(others, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny) / 127
    return (weight / scale).round() * scale


class _Score(NamedTuple):
    labels: list[Tensor]
    miou: float | None
    unequal: float


class _Scorer:
    """Predicts the same few images repeatedly and scores them; the images are read only once."""

    def __init__(self, model: SegmentationModel, images: VerificationImages, count: int) -> None:
        self._model, self._seen = model, images
        self._pairs: list[EvaluationPair] = []
        self._images: list[np.ndarray] = []
        if images.dataset is None:
            self._images = evenly_spaced(list(images.read()), count)
        else:
            samples = evenly_spaced(images.dataset.samples(images.split), count)
            read = read_split(samples, images.dataset, (images.protocol,), images.input_size, ahead=2)
            self._pairs = [pair for (pair,) in read]

    def __call__(self, expected: Sequence[Tensor] | None = None) -> _Score:
        model, seen = self._model, self._seen
        if seen.dataset is None:
            labels, miou = [main_logits(model, [image])[0].argmax(0) for image in self._images], None
        else:
            labels = [predict_pair(model, pair, seen.protocol) for pair in self._pairs]
            task = task_of(seen.dataset.classes, seen.protocol, multilabel=model.multilabel)
            tally = Tally(task, seen.split, seen.protocol, seen.input_size)
            for pair, predicted in zip(self._pairs, labels, strict=True):
                tally.add(pair, predicted)
            miou = tally.measurement().miou
        if expected is None:
            return _Score(labels, miou, 0.0)
        unequal = sum(int((one != other).sum()) for one, other in zip(labels, expected, strict=True))
        return _Score(labels, miou, unequal / sum(one.numel() for one in labels))


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` evenly spaced items, including the first one."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]
