"""EfficientViT-Seg compared with the authors' own, with weights and images that are drawn by a rule.

The originals' logits were written by `write_efficientvit_originals.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from two_branch_originals import TOLERANCE, drawn_images, drawn_state

from pixelwise.models import build_model
from pixelwise.recipes.families.efficientvit import EfficientViTSegSpec
from pixelwise.recipes.published.efficientvit import SPECS

FILE = Path(__file__).with_suffix(".npz")
OUTPUTS = {"cityscapes": 19, "ade20k": 150}
"""Number of classes; the originals' is fixed."""
STRIDES = {"cityscapes": 101, "ade20k": 1111}
"""Every how many logits one is kept; neither has a factor in common with the number of pixels."""


def spec_of(name: str) -> tuple[EfficientViTSegSpec, int]:
    """Spec and number of outputs of a network called such as `b0-cityscapes`."""
    size, dataset = name.split("-")
    return SPECS[dataset][size], OUTPUTS[dataset]


def compare_logits(name: str) -> None:
    """Compare parameters and logits, in evaluation and in training mode, with those of the authors' own network."""
    model = build_model(*spec_of(name)).double()
    model.load_state_dict(drawn_state(model))
    with np.load(FILE) as originals, torch.no_grad():
        assert sum(parameter.numel() for parameter in model.parameters()) == originals[f"{name} parameters"]
        for mode in ("eval", "train"):
            (logits,) = model.train(mode == "train").head_logits(drawn_images())
            expected = originals[f"{name} {mode}"]
            difference = np.abs(logits.flatten()[:: STRIDES[name.split("-")[1]]].numpy() - expected).max()
            assert difference <= TOLERANCE * np.abs(expected).max(), (name, mode)
