from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.formats.published.cocostuff import cocostuff_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import COCOSTUFF171
from pixelwise.recipes.schema.recipe import Data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        images, masks = tmp_path / f"{split}2017", tmp_path / "stuffthingmaps_trainval2017" / f"{split}2017"
        images.mkdir()
        masks.mkdir(parents=True)
        Image.fromarray(np.full((1, 5, 3), 7, np.uint8)).save(images / "000000000009.jpg")
        Image.fromarray(np.array([[0, 12, 91, 181, 255]], np.uint8)).save(masks / "000000000009.png")
    return tmp_path


def test_coco_stuff_is_recognised_and_raw_ids_become_171_classes(root: Path):
    dataset = open_dataset(Data(), root)
    assert (dataset.name, len(dataset.classes), dataset.problems) == ("cocostuff171", 171, ())
    labels = read_pair(dataset.samples("val")[0], dataset)[1][0]
    assert [dataset.classes[i] for i in labels[:4]] == ["person", "stop sign", "banner", "wood"]
    assert labels.tolist() == [0, 11, 80, 170, 255]


def test_the_removed_labels_are_no_classes():
    removed = {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90}
    assert set(range(182)) - set(COCOSTUFF171.label_table) == removed
    assert len(set(COCOSTUFF171.palette)) == 171


def test_a_removed_label_in_a_mask_is_an_error(root: Path):
    mask = root / "stuffthingmaps_trainval2017" / "val2017" / "000000000009.png"
    Image.fromarray(np.array([[0, 11, 0, 0, 0]], np.uint8)).save(mask)
    dataset = open_dataset(Data(), root)
    with pytest.raises(DataError, match=r"000000000009\.png: .*\b11 \(1 px\)") as caught:
        read_pair(dataset.samples("val")[0], dataset)
    assert caught.value.code == "D202"


def test_other_folders_are_not_coco_stuff(tmp_path: Path):
    assert cocostuff_layout(tmp_path) is None
