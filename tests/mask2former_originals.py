"""Mask2Former over ResNets and Swins compared with Hugging Face's, with weights that are drawn by a rule.

The originals' masks, classes and losses were written by `write_mask2former_originals.py`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.swin import Swin, Variant
from pixelwise.backbones.timm import TimmEncoder
from pixelwise.models import build_model
from pixelwise.models.mask2former import Mask2Former
from pixelwise.recipes.families.mask2former import Mask2FormerSpec

FILE = Path(__file__).with_suffix(".npz")
TOLERANCE = 1e-6
"""Largest difference, relative to the largest logit; all networks compute in float64."""
OUTPUTS, QUERIES, CHANNELS, LAYERS, PIXEL_LAYERS = 5, 7, 32, 9, 2
RESNET: dict[str, Any] = {"layers": (1, 1, 1, 1), "channels": (4, 8, 12, 16)}
WINDOWS = {"swin": 7, "swin_window12": 12}
SIZES = {"resnet": (96, 160), "swin": (64, 96), "swin_window12": (96, 64), "resnet50": (64, 96)}
"""(height, width) of the images; Hugging Face's networks pad nothing, so that only multiples of 32 can be compared."""
STRIDES = (101, 7)
"""Every how many logits of masks and of classes one is kept; prime, so that all queries, rows and columns occur."""


def swin(window: int) -> Variant:
    """A small Swin."""
    return Variant(12, (2, 2, 2, 2), 1, window=window)


def network(name: str) -> Mask2Former:
    """The network with random weights; `resnet50` is of full size, the others are small."""
    classes = [f"class {index}" for index in range(OUTPUTS)]
    if name == "resnet50":
        built = build_model(Mask2FormerSpec(frozen_statistics=True), classes=classes)
        assert isinstance(built, Mask2Former)
        return built.double()
    over_swin = name in WINDOWS
    encoder: Encoder = Swin("small", variant=swin(WINDOWS[name])) if over_swin else TimmEncoder("resnet50", **RESNET)
    spec = Mask2FormerSpec(
        encoder=encoder.name, normalize_features=over_swin, frozen_statistics=not over_swin, queries=QUERIES,
        channels=CHANNELS, layers=LAYERS, pixel_layers=PIXEL_LAYERS,
    )  # fmt: skip
    return Mask2Former(spec, classes, encoder).double()


def drawn_images(name: str) -> Tensor:
    """Two images; float64."""
    return torch.from_numpy(np.random.RandomState(7).standard_normal((2, 3, *SIZES[name])))


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
        elif key in {"queries.weight", "query_embedding.weight", "levels.weight", "pixel_decoder.levels"}:
            state[key] = torch.from_numpy(random.standard_normal(shape))
        elif len(shape) > 1:
            state[key] = torch.from_numpy(random.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:])))
        elif key.endswith(("bias", "running_mean")):
            state[key] = torch.from_numpy(0.3 * random.standard_normal(shape))
        else:
            state[key] = torch.from_numpy(0.5 + random.random_sample(shape))
    return state


def compared_layers(name: str) -> int:
    """Compare parameters, masks and classes of a network with those of Hugging Face's.

    Returns:
        The number of times that there are masks and classes, all of them equal to the original's.
    """
    model = network(name)
    model.load_state_dict(drawn_state(model))
    images = drawn_images(name)
    with np.load(FILE) as originals, torch.no_grad():
        assert sum(parameter.numel() for parameter in model.parameters()) == originals[f"{name} parameters"]
        outputs = model.train().training_outputs(images)
        final = model.eval().training_outputs(images)
        assert all(torch.equal(one, other) for one, other in zip(final, outputs[-2:], strict=True))
        for place, logits in enumerate(outputs):
            expected = originals[f"{name} {place}"]
            kept = logits.flatten()[:: STRIDES[place % 2]].numpy()
            assert kept.shape == expected.shape, (name, place)
            difference = np.abs(kept - expected).max()
            assert difference <= TOLERANCE * np.abs(expected).max(), (name, place, difference)
    return len(outputs) // 2
