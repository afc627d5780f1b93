"""UPerNet over small Swin and ConvNeXt networks compared with Hugging Face's, with weights that are drawn by a rule.

The originals' logits were written by `write_upernet_originals.py`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.swin import Swin, Variant
from pixelwise.backbones.timm import TimmEncoder
from pixelwise.models.upernet import UPerNet
from pixelwise.recipes.families.upernet import UPerNetSpec

FILE = Path(__file__).with_suffix(".npz")
TOLERANCE = 1e-6
"""Largest difference, relative to the largest logit; all networks compute in float64."""
OUTPUTS, CHANNELS, AUXILIARY = 5, 16, 8
STRIDE = 101
"""Every how many logits one is kept; prime, so that all classes, rows and columns occur."""
SWIN = Variant(12, (2, 2, 4, 2), 1)
CONVNEXT = {"depths": (1, 2, 3, 1), "dims": (8, 16, 24, 32)}
SIZES = {"swin": ((97, 131), (224, 64), (24, 20)), "convnext": ((128, 160), (97, 131))}
"""(height, width) of the images: multiples of nothing, multiples of the windows, smaller than a window at stride 4."""


def network(name: str) -> UPerNet:
    """The small network, `swin` or `convnext`, with random weights."""
    encoder: Encoder = Swin("small", variant=SWIN) if name == "swin" else TimmEncoder("convnext_tiny", **CONVNEXT)
    spec = UPerNetSpec(encoder=encoder.name, channels=CHANNELS, auxiliary_channels=AUXILIARY)
    return UPerNet(spec, [f"class {index}" for index in range(OUTPUTS)], encoder).double()


def drawn_images(size: tuple[int, int]) -> Tensor:
    """Two images; float64."""
    return torch.from_numpy(np.random.RandomState(7).standard_normal((2, 3, *size)))


def drawn_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics far from their initial values; float64. The keys are drawn in alphabetical order."""
    random = np.random.RandomState(11)
    state: dict[str, Tensor] = {}
    for key, value in sorted(model.state_dict().items()):
        shape = tuple(value.shape)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
        elif key.endswith("bias_table"):
            state[key] = torch.from_numpy(2 * random.standard_normal(shape))
        elif len(shape) > 1:
            state[key] = torch.from_numpy(random.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:])))
        elif key.endswith(("bias", "running_mean")):
            state[key] = torch.from_numpy(0.3 * random.standard_normal(shape))
        else:
            state[key] = torch.from_numpy(0.5 + random.random_sample(shape))
    return state


def compared_heads(name: str) -> dict[str, int]:
    """Compare parameters and all logits of a small network with those of Hugging Face's.

    Returns:
        The number of heads in evaluation and in training mode, all of them equal to the original's.
    """
    model = network(name)
    drawn = drawn_state(model)
    for module in model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    heads: dict[str, int] = {}
    with np.load(FILE) as originals, torch.no_grad():
        assert sum(parameter.numel() for parameter in model.parameters()) == originals[f"{name} parameters"]
        for size in SIZES[name]:
            for mode in ("eval", "train"):
                model.load_state_dict(drawn)  # without the statistics of the training before
                found = model.train(mode == "train").head_logits(drawn_images(size))
                heads[mode] = len(found)
                for place, logits in enumerate(found):
                    expected = originals[f"{name} {size[0]}x{size[1]} {mode} {place}"]
                    kept = logits.flatten()[::STRIDE].numpy()
                    assert kept.shape == expected.shape, (name, size, mode, place)
                    difference = np.abs(kept - expected).max()
                    assert difference <= TOLERANCE * np.abs(expected).max(), (name, size, mode, place, difference)
    return heads
