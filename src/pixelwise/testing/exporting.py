"""Helpers for checks of exported networks: the catalogue's distinct networks, and calibrated normalisations."""

from __future__ import annotations

import copy

import torch
from torch import nn

from pixelwise.models import SegmentationModel
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema.model import Spec

SETTLING = (2, 96, 128)
"""Batch size, height and width of the random images for the statistics of normalisations."""


def distinct_networks() -> list[str]:
    """Names of one recipe per distinct network of the catalogue, in the catalogue's order."""
    seen: dict[Spec, str] = {}
    for name in list_recipes():
        seen.setdefault(recipe(name).model, name)
    return list(seen.values())


def settled(model: SegmentationModel) -> SegmentationModel:
    """A copy in evaluation mode, with running statistics of batch normalisation that fit its activations.

    In a new network the statistics are 0 and 1, so that the logits of a deep network vanish or explode, and comparing
    two implementations of it is meaningless.
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
