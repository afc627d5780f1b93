from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.opening import LAYOUTS, open_dataset
from pixelwise.datasets.preparing.commands import PREPARED_AS, prepare_command
from pixelwise.datasets.preparing.public_data import PUBLIC_DATA
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data


def test_every_name_is_one_of_both_lists():
    assert PREPARED_AS.keys() <= LAYOUTS.keys()
    # The coarse masks of Cityscapes come to the fine ones.
    assert {*PREPARED_AS.values(), "cityscapes-coarse"} == PUBLIC_DATA.keys()


@pytest.mark.parametrize(
    ("name", "root", "expected"),
    [
        ("voc-aug", "data/VOCdevkit/VOC2012", "voc-aug --root data"),
        ("ade20k32", "data/ADEChallengeData2016", "ade20k --root data"),
        ("cocostuff171", "my data", "cocostuff --root 'my data'"),
    ],
)
def test_the_root_is_where_the_archives_lie(name: str, root: str, expected: str):
    assert prepare_command(name, Path(root)) == f"pixelwise data prepare {expected}"


def test_own_data_has_no_command():
    assert prepare_command("folder", Path("data")) is None


def test_a_missing_part_of_voc_names_the_command(tmp_path: Path):
    voc = tmp_path / "VOCdevkit" / "VOC2012"
    for folder, mode in (("JPEGImages", "RGB"), ("SegmentationClass", "L")):
        (voc / folder).mkdir(parents=True)
        Image.new(mode, (4, 4)).save(voc / folder / f"2007_000032.{'jpg' if mode == 'RGB' else 'png'}")
    lists = voc / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for name in ("train", "val"):
        (lists / f"{name}.txt").write_text("2007_000032\n")
    dataset = open_dataset(Data(dataset="voc-aug", train_split="train_aug"), tmp_path)
    (problem,) = [found for found in dataset.problems if found.code == "D226"]
    assert problem.fix.endswith(f"`pixelwise data prepare voc-aug --root {tmp_path}` brings or names what is missing")


def test_missing_masks_of_cityscapes_name_the_command(tmp_path: Path):
    for split in ("train", "val"):
        image = tmp_path / "leftImg8bit" / split / "ulm" / "ulm_000000_000019_leftImg8bit.png"
        image.parent.mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(image)
    (tmp_path / "gtFine").mkdir()
    dataset = open_dataset(Data(dataset="cityscapes"), tmp_path)
    fixes = [found.fix for found in dataset.problems if found.code == "D220"]
    assert fixes
    assert all(f"pixelwise data prepare cityscapes --root {tmp_path}" in fix for fix in fixes)


@pytest.mark.parametrize("name", sorted(PREPARED_AS))
def test_a_public_data_set_that_is_not_there_says_how_to_get_it(tmp_path: Path, name: str):
    for root in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError) as caught:
            open_dataset(Data(dataset=name), root)  # type: ignore[arg-type]
        assert caught.value.code == "D222"
        assert f"pixelwise data prepare {PREPARED_AS[name]} --root {root}" in caught.value.help
    with pytest.raises(DataError) as caught:
        open_dataset(Data(dataset=name), None)  # type: ignore[arg-type]
    assert f"`pixelwise data prepare {PREPARED_AS[name]} --root DIR`" in caught.value.help
