from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import CITYSCAPES
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")


def save(path: Path, values: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(list(str(path).encode()))
    array = dice.integers(0, 256, (1, 4, 3), np.uint8) if values is None else np.array([values], np.uint8)
    Image.fromarray(array).save(path)


def write(root: Path, images: str, masks: str, values: list[int], ending: str = "") -> None:
    for split in ("train", "val"):
        save(root / images / split / "0a0a0b1a-7c39d841.jpg")
        save(root / masks / split / f"0a0a0b1a-7c39d841{ending}.png", values)
    save(root / images / "test" / "ffff.jpg")


def labels(root: Path, name: str = "auto") -> list[list[int]]:
    dataset = open_dataset(Data(dataset=name), root)
    return [read_pair(sample, dataset)[1][0].tolist() for found in dataset.splits.values() for sample in found]


SEMANTIC = ("images/10k", "labels/sem_seg/masks", [0, 13, 18, 255])
DRIVABLE = ("images/100k", "labels/drivable/masks", [0, 1, 2, 2])


@pytest.mark.parametrize("place", [SEMANTIC, ("seg/images", "seg/labels", [0, 13, 18, 255], "_train_id")])
def test_semantic_masks_hold_train_ids(place: tuple[str, str, list[int]], tmp_path: Path):
    write(tmp_path, *place)
    save(tmp_path / "labels/sem_seg/colormaps/train/0a0a0b1a-7c39d841.png")
    save(tmp_path / "seg/color_labels/train/0a0a0b1a-7c39d841_train_color.png")
    dataset = open_dataset(Data(), tmp_path)
    assert (dataset.name, dataset.classes) == ("bdd100k", CITYSCAPES.names)
    assert labels(tmp_path) == [[0, 13, 18, 255]] * 2
    assert [problem.code for problem in dataset.problems] == ["W220"]  # the test images have no masks
    assert audit(dataset).errors == ()


def test_an_id_that_cityscapes_ignores_is_an_error_here(tmp_path: Path):
    # 26 is a label id of Cityscapes, and no train id: read by that table, it would silently be a car.
    write(tmp_path, SEMANTIC[0], SEMANTIC[1], [0, 13, 18, 26])
    with pytest.raises(DataError) as caught:
        labels(tmp_path)
    assert caught.value.code == "D202"


def test_drivable_areas_alone_and_beside_semantic_masks(tmp_path: Path):
    write(tmp_path, *DRIVABLE)
    dataset = open_dataset(Data(), tmp_path)
    assert (dataset.name, dataset.classes) == ("bdd100k-drivable", ("direct", "alternative", "background"))
    assert labels(tmp_path) == [[0, 1, 2, 2]] * 2
    write(tmp_path, *SEMANTIC)
    assert open_dataset(Data(), tmp_path).name == "bdd100k"
    assert labels(tmp_path, "bdd100k-drivable") == [[0, 1, 2, 2]] * 2


def test_files_without_a_partner_are_said(tmp_path: Path):
    write(tmp_path, *SEMANTIC)
    save(tmp_path / "images/10k/train/lonely.jpg")
    save(tmp_path / "labels/sem_seg/masks/val/orphan.png", [0, 0, 0, 0])
    messages = " ".join(problem.message for problem in open_dataset(Data(), tmp_path).problems)
    assert "lonely.jpg" in messages
    assert "orphan.png" in messages


def test_a_named_format_that_is_not_there_says_what_it_needs(tmp_path: Path):
    with pytest.raises(DataError, match="labels/sem_seg/masks"):
        open_dataset(Data(dataset="bdd100k"), tmp_path)
