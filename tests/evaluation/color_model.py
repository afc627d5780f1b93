"""A network that needs no training, and tiny data sets whose scores can be computed by hand.

Class k is drawn in grey value 60 * k. The network compares the mean grey value of each `stride` x
`stride` block with these values, so its prediction for a flat region is certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from pixelwise.datasets.labels import table_of
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.models import SegmentationModel
from pixelwise.recipes.families.real_time.enet import ENetSpec

CLASSES = ("grass", "path", "pond", "hut")
PALETTE = ((0, 128, 0), (200, 180, 140), (0, 80, 200), (160, 40, 40))
GREY = 60


class GreyModel(SegmentationModel):
    """Logits are minus the squared distance to each class's grey value, at a stride."""

    def __init__(self, classes: Sequence[str] = CLASSES, stride: int = 1) -> None:
        super().__init__(ENetSpec(), classes)
        self.stride = stride
        values = torch.arange(len(classes), dtype=torch.float32) * (GREY / 255)
        self.centres = nn.Parameter(values.view(1, -1, 1, 1))
        self.dropout = nn.Dropout(0.9)
        self.sizes: list[tuple[int, ...]] = []

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        self.sizes.append(tuple(images.shape))
        means = images.mean(1, keepdim=True)
        if self.stride > 1:
            means = F.avg_pool2d(means, self.stride, ceil_mode=True)
        return (self.dropout(-((means - self.centres) ** 2)),)


def image_of(labels: np.ndarray) -> np.ndarray:
    """The picture whose prediction is exactly `labels` (at stride 1)."""
    return np.repeat((labels * np.uint8(GREY))[..., None], 3, axis=2)


def write_dataset(
    root: Path,
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    names: Sequence[str] | None = None,
    split: str = "val",
) -> Dataset:
    """A data set on disk: for each image what the network will see as classes, and the true labels.

    Args:
        root: Folder to fill.
        pairs: (predicted, true) uint8 (H, W) class ids; true ones may be 255.
        names: Sample ids.
        split: Name of the only split.
    """
    names = names or [f"image-{number:02d}" for number in range(len(pairs))]
    samples = []
    for name, (predicted, truth) in zip(names, pairs, strict=True):
        image, mask = root / "images" / f"{name}.png", root / "masks" / f"{name}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image_of(predicted)).save(image)
        Image.fromarray(truth).save(mask)
        samples.append(Sample(name, image, mask))
    return Dataset(
        name="folder",
        root=root,
        classes=CLASSES,
        palette=PALETTE,
        label_table=table_of({**{k: k for k in range(len(CLASSES))}, 255: 255}),
        splits={split: tuple(samples)},
        reading=Reading(),
    )
