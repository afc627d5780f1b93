"""Optimizers from their description."""

from __future__ import annotations

import torch
from torch import nn

from pixelwise.recipes.schema import Optimizer


def build_optimizer(model: nn.Module, optimizer: Optimizer) -> torch.optim.Optimizer:
    """The optimizer over all parameters of `model` that require gradients.

    Without `decay_all`, parameters with fewer than two dimensions (biases, normalisation, activation
    slopes) form a group without weight decay.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if optimizer.decay_all:
        groups = [{"params": parameters, "weight_decay": optimizer.weight_decay}]
    else:
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": optimizer.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
    # Fused: one pass over each tensor instead of about ten, on CPU and GPU alike.
    if optimizer.kind == "sgd":
        return torch.optim.SGD(groups, lr=optimizer.lr, momentum=optimizer.momentum, fused=True)
    if optimizer.kind == "adam":
        return torch.optim.Adam(groups, lr=optimizer.lr, betas=optimizer.betas, fused=True)
    return torch.optim.AdamW(groups, lr=optimizer.lr, betas=optimizer.betas, fused=True)
