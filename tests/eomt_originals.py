"""EoMT over small DINOv2 and DINOv3 transformers compared with Hugging Face's, with weights that are drawn by a rule.

The originals' masks, classes and losses were written by `write_eomt_originals.py`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.backbones.tokens import TokenEncoder
from pixelwise.models.eomt import EoMT
from pixelwise.recipes.families.eomt import EoMTSpec

FILE = Path(__file__).with_suffix(".npz")
TOLERANCE = 1e-6
"""Largest difference, relative to the largest logit; all networks compute in float64."""
OUTPUTS, QUERIES, BLOCKS, WIDTH, DEPTH, HEADS = 5, 7, 2, 32, 4, 2
SIDES = {"dinov2": 64, "dinov3": 96}
"""Side of the images: Hugging Face's networks take one size each."""
ENCODERS = {"dinov2": "vit_small_patch14_reg4_dinov2", "dinov3": "vit_small_patch16_dinov3_qkvb"}
STRIDE = 31
"""Every how many logits one is kept; prime, so that all queries, rows and columns occur."""
MODES = {"masked": (True, 1.0), "free": (True, 0.0), "eval": (False, 0.0)}
"""Training mode and share of masked queries; in training mode there are outputs before every block with queries."""


def network(name: str) -> EoMT:
    """The small network, `dinov2` or `dinov3`, with random weights."""
    spec = EoMTSpec(encoder=ENCODERS[name], queries=QUERIES, blocks=BLOCKS, side=SIDES[name])
    encoder = TokenEncoder(spec.encoder, side=spec.side, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS)
    return EoMT(spec, [f"class {index}" for index in range(OUTPUTS)], encoder).double()


def drawn_images(name: str) -> Tensor:
    """Two images; float64."""
    return torch.from_numpy(np.random.RandomState(7).standard_normal((2, 3, SIDES[name], SIDES[name])))


def drawn_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights far from their initial values; float64. The keys are drawn in alphabetical order."""
    random = np.random.RandomState(11)
    state: dict[str, Tensor] = {}
    for key, value in sorted(model.state_dict().items()):
        shape = tuple(value.shape)
        if key.endswith("num_batches_tracked"):
            state[key] = value
        elif key.endswith(("_token", "pos_embed")) or key == "queries.weight":
            state[key] = torch.from_numpy(random.standard_normal(shape))
        elif len(shape) > 1:
            state[key] = torch.from_numpy(random.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:])))
        elif key.endswith("bias"):
            state[key] = torch.from_numpy(0.3 * random.standard_normal(shape))
        else:
            state[key] = torch.from_numpy(0.5 + random.random_sample(shape))
    return state


def compared_layers(name: str) -> dict[str, int]:
    """Compare parameters, masks and classes of a small network with those of Hugging Face's.

    Returns:
        Per mode the number of layers with masks and classes, all of them equal to the original's.
    """
    model = network(name)
    model.load_state_dict(drawn_state(model))
    layers: dict[str, int] = {}
    with np.load(FILE) as originals, torch.no_grad():
        assert sum(parameter.numel() for parameter in model.parameters()) == originals[f"{name} parameters"]
        for mode, (training, share) in MODES.items():
            model.train(training)
            model.shares = torch.full((BLOCKS,), share, dtype=torch.float64) if share else None
            outputs = model.training_outputs(drawn_images(name))
            layers[mode] = len(outputs) // 2
            for place, logits in enumerate(outputs):
                expected = originals[f"{name} {mode} {place}"]
                kept = logits.flatten()[::STRIDE].numpy()
                assert kept.shape == expected.shape, (name, mode, place)
                difference = np.abs(kept - expected).max()
                assert difference <= TOLERANCE * np.abs(expected).max(), (name, mode, place, difference)
    return layers


LOSS_POINTS = 40


def drawn_outputs() -> tuple[Tensor, Tensor, Tensor]:
    """Masks (3, 7, 9, 11), classes (3, 7, 6) and labels (3, 36, 44) uint8 with ignored pixels, float64."""
    random = np.random.RandomState(5)
    masks = torch.from_numpy(2 * random.standard_normal((3, QUERIES, 9, 11)))
    classes = torch.from_numpy(random.standard_normal((3, QUERIES, OUTPUTS + 1)))
    labels = np.kron(random.randint(0, OUTPUTS, (3, 4, 4)), np.ones((9, 11), np.int64)).astype(np.uint8)
    labels[0, :5] = 255
    labels[1] = 2
    return masks, classes, torch.from_numpy(labels)


def drawn_points(number: int, points: int, two: int, **_: object) -> Tensor:
    """Stands in for `torch.rand`: the same points for each of a number of masks, in whatever order these are."""
    drawn = np.random.RandomState(points).random_sample((1, points, two))
    return torch.from_numpy(drawn).repeat(number, 1, 1)
