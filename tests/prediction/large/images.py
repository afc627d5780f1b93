"""Images and a network for tests of prediction in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
import torch
from evaluation.color_model import GreyModel

POSITION = [
    (33550, "d", 3, (0.5, 0.5, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
]


class Multilabel(GreyModel):
    """Every class whose logit is within reach is present."""

    def __init__(self) -> None:
        super().__init__()
        self.multilabel = True

    def head_logits(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (super().head_logits(images)[0] + 0.09,)


def labels_of(height: int = 131, width: int = 167) -> np.ndarray:
    """Stripes and noise, so that every window and every border holds several classes."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    labels = ((rows // 13 + columns // 17) % 4).astype(np.uint8)
    return np.where(random.random((height, width)) < 0.1, random.integers(0, 4, (height, width)), labels).astype(
        np.uint8
    )


def saved(path: Path, image: np.ndarray, *tags, **options) -> Path:
    tifffile.imwrite(
        path, image,
        **{"photometric": "rgb", "metadata": None, "tile": (48, 32), "compression": "zlib"} | options,
        extratags=[*POSITION, *tags],
    )  # fmt: skip
    return path
