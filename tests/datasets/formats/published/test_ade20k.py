from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.published.ade20k import ade20k_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import ADE20K, ADE20K32
from pixelwise.recipes.schema.recipe import Data


@pytest.fixture
def ade(tmp_path: Path) -> Path:
    """`ADEChallengeData2016` in miniature, with its text files."""
    root = tmp_path / "ADEChallengeData2016"
    for kind, short, value in (("training", "train", 5), ("validation", "val", 200)):
        images, masks = root / "images" / kind, root / "annotations" / kind
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for number in (1, 2):
            name = f"ADE_{short}_{number:08d}"
            Image.fromarray(np.full((2, 4, 3), value + number, np.uint8)).save(images / f"{name}.jpg")
            values = np.array([[0, 1, 2, 31], [32, 149, 150, 12]], np.uint8)
            Image.fromarray(values).save(masks / f"{name}.png")
    (root / "objectInfo150.txt").write_text("Idx\tRatio\n")
    (root / "sceneCategories.txt").write_text("ADE_train_00000001 airport_terminal\n")
    return root


@pytest.mark.parametrize("above", [False, True])
def test_the_folder_or_the_one_above_it_is_recognised(ade: Path, above: bool):
    dataset = open_dataset(Data(), ade.parent if above else ade)
    assert (dataset.name, dataset.classes, dataset.root) == ("ade20k", ADE20K.names, ade)
    assert {name: len(samples) for name, samples in dataset.splits.items()} == {"train": 2, "val": 2}
    assert dataset.problems == ()
    assert audit(dataset).errors == ()


def test_zero_is_ignored_and_the_150_objects_count_from_one(ade: Path):
    dataset = open_dataset(Data(dataset="ade20k"), ade)
    _, labels = read_pair(dataset.samples("val")[0], dataset)
    assert labels.tolist() == [[255, 0, 1, 30], [31, 148, 149, 11]]


def test_of_32_classes_the_first_is_everything_else_and_nothing_is_ignored(ade: Path):
    dataset = open_dataset(Data(dataset="ade20k32"), ade)
    assert (dataset.name, dataset.classes) == ("ade20k32", ADE20K32.names)
    _, labels = read_pair(dataset.samples("train")[0], dataset)
    assert labels.tolist() == [[0, 1, 2, 31], [0, 0, 0, 12]]


def test_masks_are_written_back_in_ades_own_ids(ade: Path):
    table = open_dataset(Data(dataset="ade20k"), ade).label_table
    assert table.to_raw(np.array([[0, 149, 255]], np.uint8)).tolist() == [[1, 150, 0]]


def test_an_id_beyond_150_is_an_error(ade: Path):
    mask = ade / "annotations" / "validation" / "ADE_val_00000001.png"
    Image.fromarray(np.array([[151, 0, 0, 0], [0, 0, 0, 0]], np.uint8)).save(mask)
    dataset = open_dataset(Data(), ade)
    with pytest.raises(DataError, match=r"ADE_val_00000001\.png: .*\b151 \(1 px\)") as caught:
        read_pair(dataset.samples("val")[0], dataset)
    assert caught.value.code == "D202"


def test_an_image_without_annotation_is_d220(ade: Path):
    (ade / "annotations" / "validation" / "ADE_val_00000002.png").unlink()
    (problem,) = open_dataset(Data(), ade).problems
    assert (problem.code, problem.total) == ("D220", 1)
    assert "ADE_val_00000002.jpg" in problem.message


def test_own_data_laid_out_like_ade20k_is_not_taken_for_it(ade: Path):
    for file in list(ade.rglob("ADE_*")):
        file.rename(file.with_name(file.name.replace("ADE_", "mine_")))
    assert open_dataset(Data(label_map={"0": 0}, classes=("a",)), ade).name == "folder"


def test_other_folders_are_not_ade20k(tmp_path: Path):
    (tmp_path / "images" / "training").mkdir(parents=True)
    assert ade20k_layout(tmp_path) is None
    with pytest.raises(DataError) as caught:
        open_dataset(Data(dataset="ade20k32"), tmp_path)
    assert caught.value.code == "D222"
    assert "ADEChallengeData2016/" in caught.value.help
