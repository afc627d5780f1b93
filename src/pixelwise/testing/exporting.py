"""What checks of exported networks need: the networks of the catalogue, and weights that mean something."""

from __future__ import annotations

import copy

import torch
from torch import nn

from pixelwise.models import SegmentationModel
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema.model import Spec

SETTLING = (2, 96, 128)
"""Batch, height and width of the noise that normalisations settle on."""


def distinct_networks() -> list[str]:
    """One recipe for each different network of the catalogue, in its order."""
    seen: dict[Spec, str] = {}
    for name in list_recipes():
        seen.setdefault(recipe(name).model, name)
    return list(seen.values())


def settled(model: SegmentationModel) -> SegmentationModel:
    """A copy whose normalisations fit its activations, in evaluation mode.

    In a new network they do nothing, so that the logits of a deep one vanish or explode, and a comparison of two
    implementations of it says nothing.
    """
    model = copy.deepcopy(model).train()
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    batch, height, width = SETTLING
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.head_logits(torch.randn(batch, len(model.preprocessing.mean), height, width))
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    return model.eval()
