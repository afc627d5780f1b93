from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import tifffile

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Augment, Recipe
from pixelwise.training.sampling.draws import drawn_once, drawn_samples


def opened(root: Path, augment: Augment, max_pixels: int = 100_000) -> tuple[Dataset, Recipe]:
    """Scenes of 400x600 and 200x300 pixels to train on."""
    for name, size in (("large", (400, 600)), ("small", (200, 300))):
        for folder in ("images/train", "masks/train"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(root / "images/train" / f"{name}.tif", np.zeros((*size, 3), np.uint8), photometric="rgb")
        tifffile.imwrite(root / "masks/train" / f"{name}.tif", np.zeros(size, np.uint8))
    (root / "dataset.toml").write_text('classes = ["a", "b"]\n', "utf-8")
    chosen = apply_overrides(recipe("unet-resnet18"), [f"data.max_pixels={max_pixels}"])
    chosen = msgspec.structs.replace(chosen, augment=augment)
    return open_dataset(chosen.data, root), chosen


def numbers(root: Path, augment: Augment, max_pixels: int = 100_000) -> dict[str, int]:
    dataset, chosen = opened(root, augment, max_pixels)
    found = [sample.id for sample in drawn_samples(dataset, chosen, (400, 600))]
    return {name: found.count(name) for name in ("large", "small")}


def test_images_in_parts_are_drawn_once_for_every_crop_that_they_have_room_for(tmp_path: Path):
    """240,000 pixels hold 24 crops of 10,000, 6 crops of 40,000, and none of a million."""
    assert numbers(tmp_path, Augment(crop=(100, 100))) == {"large": 24, "small": 1}
    assert numbers(tmp_path, Augment(crop=(100, 400))) == {"large": 6, "small": 1}
    assert numbers(tmp_path, Augment(crop=(1000, 1000))) == {"large": 1, "small": 1}
    # 400x600 pixels become 200x300.
    assert numbers(tmp_path, Augment(crop=(100, 100), fit=(200, 300))) == {"large": 6, "small": 1}


def test_other_images_are_drawn_once(tmp_path: Path):
    assert numbers(tmp_path, Augment(crop=(100, 100)), 240_000) == {"large": 1, "small": 1}


@pytest.mark.parametrize("augment", [Augment(), Augment(crop=(100, 100), resize=(200, 300))])
def test_settings_that_need_the_whole_image_are_refused(tmp_path: Path, augment: Augment):
    dataset, chosen = opened(tmp_path, augment)
    with pytest.raises(DataError, match="large") as caught:
        drawn_samples(dataset, chosen, (400, 600))
    assert caught.value.code == "D120"


def test_settings_are_held_against_the_size_of_images_that_are_drawn_once():
    chosen = apply_overrides(recipe("unet-resnet18"), ["data.max_pixels=1000"])
    assert drawn_once((20, 50), chosen) == (20, 50)
    assert drawn_once((20, 51), chosen) is None
    assert drawn_once((0, 0), chosen) is None
