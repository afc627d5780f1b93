"""Statistics of batch normalisation, computed anew for the weights that are evaluated.

During training, a layer of batch normalisation averages the means and variances of the last batches. They are those of
augmented images, of weights that have moved on meanwhile, and of small batches; an average of the weights never saw
any of them. Few images that differ much, and short trainings, suffer from it most. Wu and Johnson 2021
(arXiv:2105.07576), whose implementation is PreciseBN of fvcore, compute the statistics of all activations for the
weights at hand instead; so does this module, with images that are not augmented.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.errors import PixelwiseError, StoppedError
from pixelwise.layers.shared_statistics import NotedStatistics, Statistics
from pixelwise.models import SegmentationModel
from pixelwise.ranks import Ranks
from pixelwise.recipes.schema.recipe import Augment, Recipe
from pixelwise.training.batches import TrainingPairs
from pixelwise.training.features.recalling import unchanged
from pixelwise.training.optimization.freezing import set_training_mode
from pixelwise.training.step import autocast, prepare

BATCH = 16
"""Images whose statistics are computed at once: what a batch of four lacks is that images differ."""
BATCHES = 4
"""Largest size of such a batch, in batches of the training, so that it needs no more memory than a training step."""
CHOICE_STREAM = 19
"""Random stream of the choice of images; order, augmentation and networks have smaller numbers."""


class _Layer(NamedTuple):
    """A layer's running statistics, and the number of images and the statistics of each batch."""

    mean: Tensor
    variance: Tensor
    found: list[tuple[int, Statistics]]


class StatisticsRenewal:
    """Computes the statistics of a network's normalisation layers from a part of the training images.

    The images, their crops and their batches are the same each time. Layers that training leaves alone, such as those
    of a frozen encoder or of heads that only training has, keep their statistics; so do layers that find a value that
    is not finite, or never more than one value per channel, as global pooling leaves of a batch of one image.

    Args:
        recipe: The resolved recipe.
        pairs: The training pairs; errors in reading them are raised as in training.
        ranks: The processes that share the run. All compute the same, and all get the result of the first one.
    """

    def __init__(self, recipe: Recipe, pairs: TrainingPairs, ranks: Ranks) -> None:
        self._recipe, self._ranks = recipe, ranks
        self._pairs = copy.copy(pairs)
        self._pairs.augment = still(recipe.augment)
        random = np.random.default_rng([recipe.sampling.seed, CHOICE_STREAM])
        chosen = random.permutation(len(pairs))[: recipe.selection.statistics_images]
        self._batches = np.array_split(chosen, math.ceil(len(chosen) / batch_size(recipe)))

    def __call__(self, model: SegmentationModel, stopped: Callable[[], bool] = lambda: False) -> None:
        """Give the layers of `model` their new statistics.

        Args:
            model: The network, on its device; its modes and the random generators stay as they are.
            stopped: Asked after every batch, unless there are several processes; if it says yes, nothing changes.

        Raises:
            StoppedError: I074, it was stopped.
            DataError: A file can no longer be read.
        """
        if not any(map(_has_statistics, model.modules())):
            return
        layers: dict[int, _Layer] = {}
        device = next(model.parameters()).device
        with unchanged(model, device), torch.no_grad():
            set_training_mode(model, frozen=self._recipe.initialize.keeps_encoder)
            for module in model.modules():
                module.training &= _has_statistics(module)
            for indices in self._batches:
                for mean, variance, _, found in self._noted(model, indices, device):
                    layer = layers.setdefault(id(mean), _Layer(mean, variance, []))
                    layer.found.append((len(indices), found))
                if self._ranks.world == 1 and stopped():
                    raise StoppedError("I074", "the evaluation was stopped before its first image")
        for layer in layers.values():
            _write(layer, self._ranks)

    def _noted(
        self, model: SegmentationModel, indices: np.ndarray, device: torch.device
    ) -> list[tuple[Tensor, Tensor, float, Statistics]]:
        batch = self._pairs.collate(self._pairs.__getitems__([(0, int(index)) for index in indices]))
        if isinstance(batch, PixelwiseError):
            raise batch
        images, _ = prepare(batch, model.preprocessing, device, self._recipe.precision.channels_last)
        with NotedStatistics(single=True) as noting, autocast(self._recipe, device):
            model(images)
        return noting.noted


def still(augment: Augment) -> Augment:
    """The part of an augmentation without chance: sizes and what fills them; only the place of a crop is drawn."""
    return Augment(
        resize=augment.resize,
        fit=augment.fit,
        fit_by=augment.fit_by,
        crop=augment.crop,
        pad=augment.pad,
        fill=augment.fill,
        resampling=augment.resampling,
    )


def batch_size(recipe: Recipe) -> int:
    """Number of images whose statistics are computed at once; that of the training if it takes images as they are."""
    own, augment = recipe.sampling.batch_size, recipe.augment
    return max(own, min(BATCH, BATCHES * own)) if augment.crop or augment.resize else own


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(getattr(module, "running_mean", None), Tensor)


def _write(layer: _Layer, ranks: Ranks) -> None:
    """Mean and variance over all batches, each as often as it has images: the variance of the means counts too."""
    images = torch.tensor([number for number, _ in layer.found], dtype=torch.float64)
    shares = (images / images.sum())[:, None]
    means = torch.stack([one.mean.cpu().double() for _, one in layer.found])
    variances = torch.stack([one.variance.cpu().double() for _, one in layer.found])
    mean = (shares * means).sum(0)
    variance = (shares * (variances + (means - mean) ** 2)).sum(0)
    if (mean.isfinite() & variance.isfinite()).all():
        layer.mean.copy_(mean)
        layer.variance.copy_(variance)
    ranks.share([layer.mean, layer.variance])
