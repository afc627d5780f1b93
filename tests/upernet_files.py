"""Weights of small UPerNets as mmsegmentation writes them, and the logits that it computes with them.

The names and logits were written by `write_upernet_files.py`; the weights are drawn here by a rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FILE = Path(__file__).with_suffix(".npz")
SIZE = (128, 160)
"""Height and width of the images, multiples of 32, because mmsegmentation cuts ConvNeXt's images."""
STRIDE = 101


def drawn(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Float64 tensors, drawn in the order of the names; an index of positions, which follows from the window, is 0."""
    random = np.random.RandomState(13)
    state: dict[str, Tensor] = {}
    for key, shape in sorted(shapes.items()):
        if key.endswith(("num_batches_tracked", "relative_position_index")):
            continue
        if key.endswith("bias_table"):
            state[key] = torch.from_numpy(2 * random.standard_normal(shape))
        elif len(shape) > 1:
            state[key] = torch.from_numpy(random.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:])))
        elif key.endswith(("bias", "running_mean")):
            state[key] = torch.from_numpy(0.3 * random.standard_normal(shape))
        else:
            state[key] = torch.from_numpy(0.5 + random.random_sample(shape))
    return state


def written(name: str) -> tuple[dict[str, Tensor], list[np.ndarray]]:
    """What a file of mmsegmentation holds, and every `STRIDE`-th logit of the main and of the auxiliary head.

    Args:
        name: `swin` or `convnext`.
    """
    with np.load(FILE) as originals:
        texts = zip(originals[f"{name} keys"], originals[f"{name} shapes"], strict=True)
        shapes = {str(key): tuple(int(side) for side in str(shape).split(",") if side) for key, shape in texts}
        logits = [originals[f"{name} {place}"] for place in range(2)]
    state = drawn(shapes)
    state |= {key: torch.zeros(shape, dtype=torch.int64) for key, shape in shapes.items() if key not in state}
    return state, logits
