from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.formats.scattered import scattered_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data


def write(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.eye(4, dtype=np.uint8)).save(root / file)
    return root


def pairs(root: Path, split: str) -> set[tuple[str, str]]:
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.problems) == ("folder", ())
    return {
        (s.image_path.relative_to(root).as_posix(), s.mask_path.relative_to(root).as_posix())
        for s in dataset.splits[split]
        if s.mask_path
    }


def test_the_same_place_counts_before_the_same_name(tmp_path: Path):
    folders = [f"{split}/{land}" for split in ("Train", "Val") for land in ("Urban", "Rural")]
    files = [f"{folder}/{kind}_png/1.png" for folder in folders for kind in ("images", "masks")]
    assert pairs(write(tmp_path, *files), "val") == {
        (f"Val/{land}/images_png/1.png", f"Val/{land}/masks_png/1.png") for land in ("Urban", "Rural")
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/cat_{}.jpg", "annotations/trimaps/cat_{}.png"),
        ("data/{}.jpg", "data/masks/{}.png"),
        ("{}.jpg", "masks/{}.png"),
        ("images/day one/{}.jpg", "labels/all/{}.png"),
    ],
)
def test_names_alone_may_say_what_belongs_together(tmp_path: Path, image: str, mask: str):
    keys = [f"x{i}" for i in range(10)]
    root = write(tmp_path, *(image.format(key) for key in keys), *(mask.format(key) for key in keys))
    found = pairs(root, "train") | pairs(root, "val")
    assert found == {(image.format(key), mask.format(key)) for key in keys}


@pytest.mark.parametrize(
    "files",
    [
        ("images/a/1.jpg", "images/b/1.jpg", "labels/x/1.png", "labels/y/1.png"),  # which is whose?
        ("images/1.jpg", "images/2.jpg", "images/3.jpg", "labels/x/1.png"),  # chance
        ("images/1.jpg", "images/2.jpg"),
        ("labels/1.png",),
        (),
    ],
)
def test_ambiguous_data_is_not_guessed(tmp_path: Path, files: tuple[str, ...]):
    assert scattered_layout(write(tmp_path, *files)) is None
