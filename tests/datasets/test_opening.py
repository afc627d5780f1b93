import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.format import FORMATS
from pixelwise.datasets.opening import open_dataset, open_folder, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.schema.recipe import Data
from pixelwise.testing.miniatures import write_miniature

MakeFolder = Callable[..., Path]
MASK = np.array([[0, 1], [2, 255]], np.uint8)


def test_a_folder_of_own_data_is_recognised(make_folder: MakeFolder):
    dataset = open_dataset(Data(), make_folder({"train/a": MASK, "val/b": MASK}))
    assert dataset.name == "folder"
    assert dataset.classes == ("class_0", "class_1", "class_2")
    assert {name: len(samples) for name, samples in dataset.splits.items()} == {"train": 1, "val": 1}
    assert dataset.problems == ()
    image, labels = read_pair(dataset.samples("train")[0], dataset)
    assert image.shape == (2, 2, 3)
    assert np.array_equal(labels, MASK)


def test_camvid_is_recognised_by_the_names_of_its_frames(make_folder: MakeFolder):
    dataset = open_dataset(Data(), make_folder({"train/0001TP_006690": MASK}))
    assert (dataset.name, dataset.classes) == ("camvid", CAMVID.names)


def test_a_few_camvid_frames_without_splits_are_own_data(make_folder: MakeFolder):
    frames = (6690, 6720, 6750, 6780, 6810)
    dataset = open_dataset(Data(), make_folder({f"0001TP_{number:06d}": MASK for number in frames}))
    assert dataset.name == "folder"
    assert sum(len(samples) for samples in dataset.splits.values()) == 5


def test_a_dataset_toml_makes_it_a_folder_whatever_the_names(make_folder: MakeFolder):
    root = make_folder({"train/0001TP_006690": MASK})
    (root / "dataset.toml").write_text('classes = ["a", "b", "c"]')
    assert open_dataset(Data(), root).classes == ("a", "b", "c")


def test_a_named_data_set_is_not_guessed(make_folder: MakeFolder):
    root = make_folder({"train/mine": MASK})
    assert open_dataset(Data(dataset="camvid"), root).name == "camvid"


def test_options_of_the_recipe_reach_the_reading(make_folder: MakeFolder):
    assert open_dataset(Data(exif="ignore"), make_folder({"train/a": MASK})).reading.exif == "ignore"


@pytest.mark.parametrize("name", ["auto", "camvid", "cityscapes", "folder", "voc-aug", "ade20k", "cocoseg21"])
def test_a_folder_of_another_kind_is_d222_with_what_was_looked_for(tmp_path: Path, name: str):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=r"\bpictures/") as caught:
        open_dataset(Data(dataset=name), tmp_path)
    assert caught.value.code == "D222"
    assert ("leftImg8bit" in caught.value.help) == (name == "cityscapes")
    assert ("images/ and masks/" in caught.value.help) == (name == "auto")
    assert len(caught.value.help) < 400


def test_an_archive_that_unpacked_to_a_folder_of_its_own_is_opened_there(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "val/b": MASK}, "outer/my data")
    dataset = open_dataset(Data(), root.parent)
    assert (dataset.name, dataset.root) == ("folder", root)
    assert dataset.layout == "in my data/: images/{split}/ with masks/{split}/"
    assert open_dataset(Data(), make_folder({"a": MASK, "b": MASK}, "one/two/three").parent.parent).root.name == "three"


def test_without_a_mask_the_images_are_counted(tmp_path: Path):
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.png"):
        (tmp_path / "images" / name).touch()
    with pytest.raises(DataError, match=r"\b2\b.*\bimages/"):
        open_dataset(Data(), tmp_path)


def test_a_description_outside_of_the_inner_folder_counts(make_folder: MakeFolder):
    outer = make_folder({"train/a": MASK}, "outer/data").parent
    (outer / "dataset.toml").write_text('classes = ["a", "b", "c"]')
    assert open_dataset(Data(), outer).classes == ("a", "b", "c")


def test_of_several_data_sets_in_a_folder_none_is_chosen(make_folder: MakeFolder):
    outer = make_folder({"train/a": MASK}, "outer/one").parent
    make_folder({"train/a": MASK}, "outer/two")
    with pytest.raises(DataError, match=r"\b2\b.*outer/one, .*outer/two") as caught:
        open_dataset(Data(), outer)
    assert (caught.value.code, caught.value.help.count("outer/one")) == ("D222", 1)


@pytest.mark.parametrize(("root", "named"), [(None, "'auto'"), (Path("/nowhere/at/all"), "/nowhere/at/all")])
def test_no_folder_is_d222(root: Path | None, named: str):
    with pytest.raises(DataError, match=named) as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D222"


def test_a_file_instead_of_a_folder_is_d222(tmp_path: Path):
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"a\.png") as caught:
        open_dataset(Data(), tmp_path / "a.png")
    assert caught.value.code == "D222"


def test_problems_are_collected_instead_of_raised(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK})
    (root / "masks" / "train" / "b.png").unlink()
    dataset = open_dataset(Data(), root)
    assert [problem.code for problem in dataset.problems] == ["D220"]
    assert [sample.id for sample in dataset.samples("train")] == ["a"]


@pytest.mark.parametrize("values", [[0, 1, 2, 255], [0, 7, 33], [0, 255]])
def test_a_settled_recipe_opens_the_same_folder_the_same_way(make_folder: MakeFolder, values: list[int]):
    root = make_folder({"train/a": np.array([values], np.uint8)})
    first = open_dataset(Data(), root)
    again = open_dataset(settled(Data(), first), root)
    assert again.classes == first.classes
    assert again.palette == first.palette
    assert again.label_table == first.label_table


@pytest.mark.parametrize(
    "data", [Data(dataset="camvid"), Data(classes=("a", "b"), colors={"#010101": 0, "#020202": 1, "#000000": 255})]
)
def test_settling_keeps_ids_and_colours_of_known_tables(make_folder: MakeFolder, data: Data):
    root = make_folder({"train/a": MASK})
    first = open_dataset(data, root)
    assert open_dataset(settled(data, first), root).label_table == first.label_table


def test_non_utf8_names_open_and_read(make_folder: MakeFolder):
    import os

    root = make_folder({"train/a": MASK})
    for kind in ("images", "masks"):
        folder = os.fsencode(root / kind / "train")
        os.rename(folder + b"/a.png", folder + b"/\xfcber -1\n.png")
    dataset = open_dataset(Data(), root)
    (sample,) = dataset.samples("train")
    assert sample.id == "\\xfcber -1\\n"
    assert np.array_equal(read_pair(sample, dataset)[1], MASK)


def test_splits_that_share_images_with_an_opened_one_are_counted_beside_it(tmp_path: Path):
    root = write_miniature("voc-aug", tmp_path / "voc", (4, 2))
    dataset = open_dataset(Data(), root)
    assert sorted(dataset.splits) == ["train", "val"]
    assert dataset.other_splits == {"train_aug": 4}
    trained = open_dataset(Data(train_split="train_aug"), root)
    assert list(trained.other_splits) == ["train"]


def test_a_name_that_no_format_has_is_corrected(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"data\.dataset: .*'foldr'.*'folder'") as caught:
        open_dataset(Data(dataset="foldr"), tmp_path)
    assert caught.value.code == "R203"
    assert set(FORMATS.own()) <= set(re.findall(r"[\w-]+", caught.value.help))


def test_multilabel_data_is_refused_in_formats_that_have_none(make_folder: MakeFolder):
    with pytest.raises(RecipeError, match=r"data\.multilabel.*'camvid'.*\bfolder\b") as caught:
        open_dataset(Data(dataset="camvid", multilabel=True), make_folder({"train/a": MASK}))
    assert caught.value.code == "R203"


def test_somebodys_folder_is_read_as_overrides_say(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK})
    data, dataset = open_folder(root, ["data.exif=ignore", 'data.classes=["x", "y", "z"]'])
    assert (data.exif, dataset.reading.exif) == ("ignore", "ignore")
    assert dataset.classes == ("x", "y", "z")


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
    assert f"`pixelwise data prepare voc-aug --root {tmp_path}`" in problem.fix


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


PUBLIC = [name for name, format in FORMATS.own().items() if format.publications]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_data_set_that_is_not_there_says_how_to_get_it(tmp_path: Path, name: str):
    prepared_as = FORMATS[name].publications[0].name
    for root in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError) as caught:
            open_dataset(Data(dataset=name), root)
        assert caught.value.code == "D222"
        assert f"pixelwise data prepare {prepared_as} --root {root}" in caught.value.help
    with pytest.raises(DataError) as caught:
        open_dataset(Data(dataset=name), None)
    assert f"`pixelwise data prepare {prepared_as} --root DIR`" in caught.value.help
