"""DPT over small transformers compared with Hugging Face's, with weights that are drawn by a rule.

The originals' logits were written by `write_dpt_originals.py`.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pixelwise.backbones.taps import TappedEncoder
from pixelwise.models.dpt import DPT
from pixelwise.recipes.families.dpt import DPTSpec

FILE = Path(__file__).with_suffix(".npz")
TOLERANCE = 1e-6
"""Largest difference, relative to the largest logit; all networks compute in float64."""
OUTPUTS, WIDTH, DEPTH, HEADS = 5, 32, 6, 2
TAPS = (0, 2, 3, 4)
"""The last block is not read."""
STRIDE = 101
"""Every how many logits one is kept; prime, so that all classes, rows and columns occur."""
SIDES = {"vit": 96, "dinov2": 64}
"""Side of the images; patches have 16 pixels."""
SPECS = {
    # The original: as it is, with the class token, and aligned corners up to the image.
    "vit": DPTSpec(
        encoder="vit_small_patch16_224", taps=TAPS, normalize_features=False, readout="project",
        reassembled=(6, 10, 14, 18), channels=8, align_corners=True,
    ),
    # As usual over DINOv2: normalised, without the class token.
    "dinov2": DPTSpec(encoder="vit_small_patch14_dinov2", taps=TAPS, channels=8),
}  # fmt: skip
MODES = ("eval", "train", "image")
"""Logits at half the size in both modes, and at that of the image."""


def network(name: str) -> DPT:
    """The small network, `vit` or `dinov2`, with random weights."""
    spec = SPECS[name]
    encoder = TappedEncoder(
        spec.encoder, spec.taps, normalize=spec.normalize_features, class_token=spec.readout == "project",
        patch_size=16, img_size=SIDES[name], embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS,
    )  # fmt: skip
    return DPT(spec, [f"class {index}" for index in range(OUTPUTS)], encoder).double()


def drawn_images(name: str) -> Tensor:
    """Two images; float64."""
    return torch.from_numpy(np.random.RandomState(7).standard_normal((2, 3, SIDES[name], SIDES[name])))


def drawn_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics far from their initial values; float64. The keys are drawn in alphabetical order."""
    random = np.random.RandomState(11)
    state: dict[str, Tensor] = {}
    for key, value in sorted(model.state_dict().items()):
        shape = tuple(value.shape)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
        elif key.endswith(("cls_token", "pos_embed")):
            state[key] = torch.from_numpy(random.standard_normal(shape))
        elif len(shape) > 1:
            state[key] = torch.from_numpy(random.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:])))
        elif key.endswith(("bias", "running_mean")):
            state[key] = torch.from_numpy(0.3 * random.standard_normal(shape))
        else:
            state[key] = torch.from_numpy(0.5 + random.random_sample(shape))
    return state


def compared_logits(name: str) -> list[str]:
    """Compare parameters and logits of a small network with those of Hugging Face's.

    Returns:
        The modes in which they were compared, all of them equal to the original's.
    """
    model = network(name)
    drawn = drawn_state(model)
    model.head.dropout.p = 0.0
    compared: list[str] = []
    with np.load(FILE) as originals, torch.no_grad():
        assert sum(parameter.numel() for parameter in model.parameters()) == originals[f"{name} parameters"]
        for mode in MODES:
            if f"{name} {mode}" not in originals:
                continue
            model.load_state_dict(drawn)  # without the statistics of the training before
            model.train(mode == "train")
            images = drawn_images(name)
            logits = model(images) if mode == "image" else model.head_logits(images)[0]
            kept, expected = logits.flatten()[::STRIDE].numpy(), originals[f"{name} {mode}"]
            assert kept.shape == expected.shape, (name, mode)
            difference = np.abs(kept - expected).max()
            assert difference <= TOLERANCE * np.abs(expected).max(), (name, mode, difference)
            compared.append(mode)
    return compared
