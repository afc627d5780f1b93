"""The first augmented batch of a run as pictures: whether crop, colours and labels are what the user has in mind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from pixelwise.errors import PixelwiseError
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.pictures import read_pictures, write_pictures
from pixelwise.training.batches import Item, TrainingPairs
from pixelwise.training.order import BatchPlan
from pixelwise.training.pictures.layers import at_most, clear_classes, layer, write_picture

MOST_IMAGES = 8
LONGEST_SIDE = 320


def draw_batch(run: Path, pairs: TrainingPairs, recipe: Recipe) -> None:
    """Draw up to eight images of the first batch as the network sees them, unless the run has them already.

    A batch is a function of the seed and its position, so it is made again here; the training is not touched.

    Args:
        run: Run folder.
        pairs: Pairs of the training split.
        recipe: The resolved recipe.

    Raises:
        ResourceError: S601, the disk is full.
        OSError: The files cannot be written.
    """
    before = read_pictures(run)
    if before.batch:
        return
    dataset, drawn = pairs.dataset, []
    clear = () if dataset.multilabel else clear_classes(dataset.classes)
    for number, (image, labels, color, sample) in enumerate(_first_items(pairs, recipe), 1):
        size = at_most((labels.shape[0], labels.shape[1]), LONGEST_SIDE)
        seen = image if color is None else recolored(image, color)
        colors = layer(labels, dataset.palette, clear, size)
        drawn.append(write_picture(run, f"batch-{number}", sample, seen, colors, size))
    write_pictures(run, msgspec.structs.replace(before, batch=tuple(drawn)))


def recolored(image: np.ndarray, color: np.ndarray) -> np.ndarray:
    """An image uint8 (H, W, C) with a colour matrix float32 (C, C + 1) applied, as `transforms.color` does it."""
    # Sums over a handful of channels, without the thread pools of libraries, since loader processes may be forked next.
    values = np.einsum("hwc,dc->hwd", image.astype(np.float32), color[:, :-1]) + 255 * color[:, -1]
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _first_items(pairs: TrainingPairs, recipe: Recipe) -> list[Item]:
    """The first images of the first batch; none if one of them cannot be read, of which the training will tell."""
    keys = next(iter(BatchPlan(len(pairs), recipe.sampling, 0, 1)))
    # An image is mixed with its neighbour in the batch.
    needed = keys if recipe.augment.mix != "none" else keys[:MOST_IMAGES]
    items = [item for item in pairs.__getitems__(needed) if not isinstance(item, PixelwiseError)]
    return items[:MOST_IMAGES] if len(items) == len(needed) else []
