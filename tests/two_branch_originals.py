"""PIDNet and DDRNet compared with the authors' own, with weights and images that are drawn by a rule.

The originals' logits were written by `write_two_branch_originals.py`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.models import build_model
from pixelwise.recipes.families.real_time.ddrnet import DDRNetSpec
from pixelwise.recipes.families.real_time.pidnet import PIDNetSpec

FILE = Path(__file__).with_suffix(".npz")
TOLERANCE = 1e-6
"""Largest difference, relative to the largest logit; all networks compute in float64."""
OUTPUTS = 5
"""Number of classes of the compared networks."""
STRIDE = 101
"""Every how many logits one is kept; prime, so that all classes, rows and columns occur."""
VARIANTS = {
    "pidnet-s": PIDNetSpec(variant="s"),
    "pidnet-m": PIDNetSpec(variant="m"),
    "pidnet-l": PIDNetSpec(variant="l"),
    "ddrnet-23-slim": DDRNetSpec(variant="23-slim"),
    "ddrnet-23": DDRNetSpec(variant="23"),
}


def drawn_images() -> Tensor:
    """Two images of 128x192 that have two and three pixels at stride 64; float64."""
    return torch.from_numpy(np.random.RandomState(7).standard_normal((2, 3, 128, 192)))


def drawn_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics far from their initial values; float64. The keys are drawn in alphabetical order."""
    random = np.random.RandomState(11)
    state: dict[str, Tensor] = {}
    for key, value in sorted(model.state_dict().items()):
        shape = tuple(value.shape)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        drawn = random.standard_normal(shape)
        if len(shape) == 4:
            drawn *= math.sqrt(2 / math.prod(shape[1:]))
        elif key.endswith("running_var"):
            drawn = 0.5 + random.random_sample(shape)
        elif key.endswith(("bias", "running_mean")):
            drawn *= 0.3
        else:
            drawn = 0.5 + random.random_sample(shape)
        state[key] = torch.from_numpy(drawn)
    return state


def compared_heads(name: str) -> dict[str, int]:
    """Compare parameters and all logits of a network with those of the authors' own.

    Returns:
        The number of heads in evaluation and in training mode, all of them equal to the original's.
    """
    model = build_model(VARIANTS[name], OUTPUTS).double()
    model.load_state_dict(drawn_state(model))
    with np.load(FILE) as originals, torch.no_grad():
        assert sum(parameter.numel() for parameter in model.parameters()) == originals[f"{name} parameters"]
        found = {"eval": model.eval().head_logits(drawn_images()), "train": model.train().head_logits(drawn_images())}
        for mode, heads in found.items():
            for place, logits in enumerate(heads):
                expected = originals[f"{name} {mode} {place}"]
                difference = np.abs(logits.flatten()[::STRIDE].numpy() - expected).max()
                assert difference <= TOLERANCE * np.abs(expected).max(), (name, mode, place)
    return {mode: len(heads) for mode, heads in found.items()}
