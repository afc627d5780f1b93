"""PMT over small DINOv2 and DINOv3 transformers compared with the authors', with weights that are drawn by a rule.

The originals' masks and classes were written by `write_pmt_originals.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from eomt_originals import TOLERANCE, drawn_images, drawn_state

from pixelwise.backbones.tokens import TappedTokens
from pixelwise.models.pmt import PMT
from pixelwise.recipes.families.pmt import PMTSpec

FILE = Path(__file__).with_suffix(".npz")
OUTPUTS, QUERIES, BLOCKS, WIDTH, HIDDEN, DEPTH, HEADS = 5, 7, 2, 32, 48, 5, 2
TAPS = (0, 2, 4)
ENCODERS = {"dinov2": "vit_small_patch14_reg4_dinov2", "dinov3": "vit_small_patch16_dinov3_qkvb"}
SIDES = {"dinov2": 64, "dinov3": 96}
"""Side of the images: the authors' networks take one size each; those of `eomt_originals.drawn_images`."""
STRIDE = 31
"""Every how many logits one is kept; prime, so that all queries, rows and columns occur."""
MODES = {"masked": (True, 1.0), "free": (True, 0.0), "eval": (False, 0.0)}
"""Training mode and share of masked queries; in training mode there are outputs before every block of the decoder."""


def network(name: str) -> PMT:
    """The small network, `dinov2` or `dinov3`, with random weights."""
    spec = PMTSpec(
        encoder=ENCODERS[name], queries=QUERIES, taps=TAPS, blocks=BLOCKS, hidden=HIDDEN, side=SIDES[name]
    )  # fmt: skip
    encoder = TappedTokens(spec.encoder, spec.taps, side=spec.side, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS)
    return PMT(spec, [f"class {index}" for index in range(OUTPUTS)], encoder).double()


def compared_layers(name: str) -> dict[str, int]:
    """Compare parameters, masks and classes of a small network with those of the authors'.

    Returns:
        Per mode the number of layers with masks and classes, all of them equal to the original's.
    """
    model = network(name)
    drawn = drawn_state(model)
    layers: dict[str, int] = {}
    with np.load(FILE) as originals, torch.no_grad():
        assert sum(parameter.numel() for parameter in model.parameters()) == originals[f"{name} parameters"]
        for mode, (training, share) in MODES.items():
            model.load_state_dict(drawn)  # statistics change in training
            model.train(training).encoder.eval()
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
