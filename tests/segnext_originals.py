"""SegNeXt compared with the authors' own, with weights and images that are drawn by a rule.

The originals' logits were written by `write_segnext_originals.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from two_branch_originals import TOLERANCE, drawn_state

from pixelwise.models import build_model
from pixelwise.models.segnext import Factorisation, SegNeXt
from pixelwise.recipes.families.segnext import SegNeXtSpec

FILE = Path(__file__).with_suffix(".npz")
OUTPUTS = 5
"""Number of classes of the compared networks."""
STRIDE = 7
"""Every how many logits one is kept; prime, so that all classes, rows and columns occur."""
SIZES = ((64, 96), (97, 131), (24, 20))
"""(height, width) of the images: multiples of all strides, of none, fewer than a pixel at stride 32."""
VARIANTS = {
    "t": SegNeXtSpec(encoder="mscan_t"),
    "s": SegNeXtSpec(encoder="mscan_s"),
    "b": SegNeXtSpec(encoder="mscan_b", channels=512, bases=64),
    "l": SegNeXtSpec(encoder="mscan_l", channels=1024, bases=64),
}
SEED = 5
"""Seed of the bases that are drawn in training mode; nothing else is drawn there."""


def network(name: str) -> SegNeXt:
    """The network of a variant in float64, without what is random in training except for the bases."""
    model = build_model(VARIANTS[name], OUTPUTS).double()
    assert isinstance(model, SegNeXt)
    without_chance(model)
    return model


def without_chance(model: nn.Module) -> None:
    """Switch off dropout and stochastic depth; of the original's modules, too."""
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
        for name in ("drop_path", "drop_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def drawn_images(size: tuple[int, int]) -> Tensor:
    """Two images; float64."""
    return torch.from_numpy(np.random.RandomState(7).standard_normal((2, 3, *size)))


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics far from their initial values; the bases of evaluation, which are fixed, stay.

    Attention multiplies features with themselves, so deep networks overflow unless the factors of blocks are small.
    """
    drawn = drawn_state(model)
    drawn |= {key: value for key, value in model.state_dict().items() if key.endswith(".bases")}
    return drawn | {key: 0.01 * value for key, value in drawn.items() if ".layer_scale_" in key}


def compare_logits(name: str, sizes: Sequence[tuple[int, int]] = SIZES) -> int:
    """Compare parameters and logits, in evaluation and in training mode, with those of the authors' own network.

    Args:
        name: Name of a variant.
        sizes: Sizes of the images, some of `SIZES`.

    Returns:
        The number of comparisons.
    """
    model = network(name)
    drawn = weights(model)
    compared = 0
    with np.load(FILE) as originals, torch.no_grad():
        assert sum(parameter.numel() for parameter in model.parameters()) == originals[f"{name} parameters"]
        for size in sizes:
            for mode in ("eval", "train"):
                model.load_state_dict(drawn)  # without the statistics of the training before
                torch.manual_seed(SEED)
                (logits,) = model.train(mode == "train").head_logits(drawn_images(size))
                expected = originals[f"{name} {size[0]}x{size[1]} {mode}"]
                kept = logits.flatten()[::STRIDE].numpy()
                assert kept.shape == expected.shape, (name, size, mode)
                difference = np.abs(kept - expected).max()
                assert difference <= TOLERANCE * np.abs(expected).max(), (name, size, mode, difference)
                compared += 1
    return compared


def bases(model: SegNeXt) -> Tensor:
    """(D, R): what evaluation begins from."""
    (factorisation,) = (module for module in model.modules() if isinstance(module, Factorisation))
    return factorisation.bases
