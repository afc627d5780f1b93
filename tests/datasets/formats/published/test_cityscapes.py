from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.formats.published.cityscapes import cityscapes_layout
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.recipes.schema.recipe import Data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two cities in Cityscapes' own layout, with its colour renderings and instance ids."""
    for split, city in (("train", "aachen"), ("val", "lindau")):
        stem = f"{city}_000000_000019"
        images, masks = tmp_path / "leftImg8bit" / split / city, tmp_path / "gtFine" / split / city
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        Image.fromarray(np.full((2, 4, 3), 9, np.uint8)).save(images / f"{stem}_leftImg8bit.png")
        Image.fromarray(np.array([[7, 8, 4, 0], [26, 33, 11, 23]], np.uint8)).save(
            masks / f"{stem}_gtFine_labelIds.png"
        )
        Image.fromarray(np.array([[7, 8, 4, 0], [26001, 33000, 11, 23]], np.uint16)).save(
            masks / f"{stem}_gtFine_instanceIds.png"
        )
        Image.fromarray(np.zeros((2, 4, 3), np.uint8)).save(masks / f"{stem}_gtFine_color.png")
    return tmp_path


def test_images_are_paired_with_their_label_ids(root: Path):
    layout = cityscapes_layout(root)
    assert layout is not None
    assert layout.problems == ()
    (sample,) = layout.splits["train"]
    assert sample.id == "aachen/aachen_000000_000019"
    assert sample.mask_path is not None
    assert sample.mask_path.name == "aachen_000000_000019_gtFine_labelIds.png"


def test_full_label_ids_become_the_19_train_ids(root: Path):
    dataset = open_dataset(Data(), root)
    assert dataset.name == "cityscapes"
    _, labels = read_pair(dataset.samples("val")[0], dataset)
    assert labels.tolist() == [[0, 1, 255, 255], [13, 18, 2, 10]]


def test_an_image_without_label_ids_is_reported(root: Path):
    (root / "gtFine" / "val" / "lindau" / "lindau_000000_000019_gtFine_labelIds.png").unlink()
    layout = cityscapes_layout(root)
    assert layout is not None
    assert [problem.code for problem in layout.problems] == ["W220"]


def test_other_folders_are_not_cityscapes(tmp_path: Path):
    (tmp_path / "leftImg8bit").mkdir()
    assert cityscapes_layout(tmp_path) is None


def test_train_ids_are_read_where_there_are_no_label_ids(root: Path):
    for file in root.rglob("*_labelIds.png"):
        file.unlink()
        Image.fromarray(np.array([[0, 1, 255, 255], [13, 18, 2, 10]], np.uint8)).save(
            file.with_name(file.name.replace("labelIds", "labelTrainIds"))
        )
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.problems) == ("cityscapes", ())
    assert read_pair(dataset.samples("val")[0], dataset)[1].tolist() == [[0, 1, 255, 255], [13, 18, 2, 10]]
    assert open_dataset(settled(Data(), dataset), root) == dataset


def test_filling_in_what_train_ids_mean_leaves_the_recipe_as_it_was(root: Path):
    for file in root.rglob("*_labelIds.png"):
        file.rename(file.with_name(file.name.replace("labelIds", "labelTrainIds")))
    data = settled(Data(dataset="cityscapes"), open_dataset(Data(dataset="cityscapes"), root))
    assert (data.label_map, data.colors) == (None, None)


@pytest.fixture
def coarse(root: Path) -> Path:
    """Coarse masks of train, and of a city that has no fine ones."""
    for folder, city in (("train", "aachen"), ("train_extra", "erlangen")):
        stem = f"{city}_000000_000019"
        images, masks = root / "leftImg8bit" / folder / city, root / "gtCoarse" / folder / city
        images.mkdir(parents=True, exist_ok=True)
        masks.mkdir(parents=True)
        Image.fromarray(np.full((2, 4, 3), 9, np.uint8)).save(images / f"{stem}_leftImg8bit.png")
        Image.fromarray(np.full((2, 4), 26, np.uint8)).save(masks / f"{stem}_gtCoarse_labelIds.png")
    return root


@pytest.mark.parametrize(
    ("split", "name"),
    [("train", "gtFine_labelIds"), ("train_coarse", "gtCoarse_labelIds"), ("train_extra", "gtCoarse_labelIds")],
)
def test_coarse_masks_are_splits_to_choose_for_training(coarse: Path, split: str, name: str):
    dataset = open_dataset(Data(train_split=split), coarse)
    assert sorted(dataset.splits) == sorted([split, "val"])
    assert dataset.problems == ()
    (sample,) = dataset.samples(split)
    assert sample.mask_path is not None
    assert sample.mask_path.stem.endswith(name)
