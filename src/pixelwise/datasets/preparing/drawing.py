"""Draws the synthetic town into a folder."""

from __future__ import annotations

import os
from pathlib import Path

from pixelwise.datasets.preparing.written import WrittenData
from pixelwise.datasets.town.scenes import SPLITS, write_town
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import Overrides, apply_overrides

RECIPE = "town-demo"
"""Name of the recipe whose data section sets the number of scenes, their size and the seed."""


def draw_town(output: str | os.PathLike[str], overrides: Overrides = (), *, observer: Observer = SILENT) -> WrittenData:
    """Draw the synthetic town into a folder: street scenes with exact labels in CamVid's 11 classes.

    Args:
        output: Folder to create: images/ and masks/ with train, val and test, and a `dataset.toml`.
        overrides: Overrides of the `town-demo` recipe, such as `data.town_images=[100,20,20]`.
        observer: Receives the number of drawn scenes.

    Raises:
        DataError: D225, `output` exists.
        RecipeError: An override is invalid.
        ResourceError: S601, the disk is full.
    """
    data = apply_overrides(find(RECIPE), overrides).data
    root = write_town(Path(output), data, observer=observer)
    return WrittenData(root=root, classes=CAMVID.names, pairs=dict(zip(SPLITS, data.town_images, strict=True)))
