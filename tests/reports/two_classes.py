"""A run whose network gives every pixel a probability that can be read off the image.

The red channel is the probability of one of two classes, or of the first of two that may overlap; green is the second.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import torch
from PIL import Image
from reports.run_folders import score_into
from torch import Tensor, nn

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.models import SegmentationModel
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.schema.recipe import Data
from pixelwise.records.result import Result

SIZE = (96, 128)


class RedModel(SegmentationModel):
    """Two classes: the probability of the second one is the red value; or two classes that may overlap."""

    def __init__(self, classes: tuple[str, ...] = ("background", "crack"), *, multilabel: bool = False) -> None:
        super().__init__(ENetSpec(), classes)
        self.multilabel = multilabel
        self.place = nn.Parameter(torch.zeros(()))

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (self.preprocessing.mean, self.preprocessing.std))
        logits = torch.logit((images * std + mean)[:, :2].clamp(1e-6, 1 - 1e-6)) + self.place
        return (logits if self.multilabel else torch.cat([torch.zeros_like(logits[:, :1]), logits[:, :1]], 1),)


def smooth(seed: int) -> np.ndarray:
    """Probabilities float32 (H, W) from 0 to 1 without sharp edges."""
    noise = np.random.default_rng(seed).random(SIZE, np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 6)
    return (blurred - blurred.min()) / (blurred.max() - blurred.min())


def write_two_class_run(run: Path, *, multilabel: bool = False, images: int = 3, limit: float = 0.35) -> Result:
    """Fill `run` with a recipe and a scored split.

    Args:
        run: Folder to create.
        multilabel: Whether the classes may overlap.
        images: Number of images.
        limit: Probability above which a pixel is labelled as the class: the best threshold.
    """
    run.mkdir(parents=True)
    resolved = recipe("unet-resnet18")
    (run / "recipe.toml").write_text(to_toml(resolved))
    dataset = _dataset(run.parent / f"{run.name}-data", images, limit, multilabel=multilabel)
    model = RedModel(dataset.classes, multilabel=multilabel)
    metrics = () if multilabel else ("calibration_error",)
    return score_into(run, dataset, resolved, {}, model, metrics=metrics)


def _dataset(root: Path, images: int, limit: float, *, multilabel: bool) -> Dataset:
    for number in range(images):
        red, green = smooth(number), smooth(100 + number)
        image = np.stack([red, green, np.full(SIZE, 0.5, np.float32)], -1)
        crack, rust = (np.uint8(255) * (values > limit) for values in (red, green))
        masks = {"crack": crack, "rust": rust} if multilabel else {"": (crack > 0).astype(np.uint8)}
        files = {"images/test": (image * 255).round().astype(np.uint8)}
        files |= {f"masks/{name}/test" if name else "masks/test": values for name, values in masks.items()}
        for folder, values in files.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / folder / f"{number}.png")
    if multilabel:
        return open_dataset(Data(), root)
    return open_dataset(Data(dataset="folder", classes=("background", "crack")), root)


def with_foreground_first(result: Result) -> Result:
    """The result with its two classes in the other order, as their names say: what is in question is class 0."""
    first, second = result.per_class
    return msgspec.structs.replace(
        result,
        per_class=(
            msgspec.structs.replace(first, name="crack"), msgspec.structs.replace(second, name="background"),
        ),
    )  # fmt: skip
