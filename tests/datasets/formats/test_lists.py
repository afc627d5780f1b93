from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data

MakeFolder = Callable[..., Path]
MASK = np.array([[0, 1]], np.uint8)
KEYS = ("a", "b", "c d")


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    """Pairs in folders whose names say nothing."""
    folder = make_folder(dict.fromkeys(KEYS, MASK))
    (folder / "images").rename(folder / "photos")
    (folder / "masks").rename(folder / "truth")
    return folder


def ids(root: Path) -> dict[str, list[str]]:
    dataset = open_dataset(Data(), root)
    assert dataset.name == "lists"
    return {split: [sample.image_path.stem for sample in samples] for split, samples in dataset.splits.items()}


@pytest.mark.parametrize("separator", [" ", "\t", ",", " , ", ";"])
def test_lists_of_pairs_are_recognised(root: Path, separator: str):
    (root / "train.txt").write_text("".join(f"photos/{k}.png{separator}truth/{k}.png\n" for k in ("a", "c d")))
    (root / "val.txt").write_text(f"# a comment\n\nphotos/b.png{separator}truth/b.png")
    assert ids(root) == {"train": ["a", "c d"], "val": ["b"]}
    dataset = open_dataset(Data(), root)
    assert (dataset.classes, dataset.problems, audit(dataset).errors) == (("class_0", "class_1"), (), ())


@pytest.mark.parametrize("place", ["lists", "ImageSets/Segmentation"])
def test_paths_are_relative_to_the_list_or_to_the_root(root: Path, place: str):
    (root / place).mkdir(parents=True)
    up = "../" * (place.count("/") + 1)
    (root / place / "train.txt").write_text(f"photos/a.png truth/a.png\n{up}photos/b.png {up}truth/b.png\n")
    (root / place / "val.txt").write_text("data\\photos\\c d.png\tdata\\truth\\c d.png\n")
    assert ids(root) == {"train": ["a", "b"], "val": ["c d"]}


@pytest.mark.parametrize("header", ["image,mask", "ID,filename,label", "img_path;mask_path"])
def test_csv_files_with_a_header_are_recognised(root: Path, header: str):
    delimiter = ";" if ";" in header else ","
    number = "7," if header.startswith("ID") else ""
    for split, key in (("train", "a"), ("valid", "b")):
        (root / f"{split}.csv").write_text(f"{header}\n{number}photos/{key}.png{delimiter}truth/{key}.png\n")
    assert ids(root) == {"train": ["a"], "val": ["b"]}


def test_one_csv_file_may_hold_the_split_in_a_column(root: Path):
    rows = [
        f'"photos/{key}.png",truth/{key}.png,{split}' for key, split in zip(KEYS, ("train", "test", "Val"), strict=True)
    ]
    (root / "metadata.csv").write_text("\ufeffimage,mask,split\n" + "\n".join(rows))
    assert ids(root) == {"train": ["a"], "val": ["c d"], "test": ["b"]}


def test_a_training_list_alone_is_divided(make_folder: MakeFolder):
    keys = [f"{i}" for i in range(20)]
    root = make_folder(dict.fromkeys(keys, MASK))
    (root / "train.txt").write_text("".join(f"images/{key}.png masks/{key}.png\n" for key in keys))
    found = ids(root)
    assert sorted(found["train"] + found["val"]) == sorted(keys)
    assert found["val"]


@pytest.mark.parametrize("form", ["{}", "{}.png", "images/{}.png", "./images/{}.png"])
def test_lists_of_names_divide_folders_of_images_and_masks(make_folder: MakeFolder, form: str):
    root = make_folder(dict.fromkeys(KEYS[:2], MASK))
    (root / "train.txt").write_text(form.format("a") + "\n")
    (root / "val.txt").write_text(form.format("b") + "\n")
    assert ids(root) == {"train": ["a"], "val": ["b"]}
    assert open_dataset(Data(), root).layout == "images/ with masks/, 2 of 2 images named in train.txt, val.txt"


def test_files_that_do_not_exist_are_d220_with_their_names(root: Path):
    (root / "train.txt").write_text("photos/a.png truth/a.png\nphotos/x.png truth/x.png\n")
    (root / "val.txt").write_text("photos/b.png truth/b.png\n")
    (problem,) = open_dataset(Data(), root).problems
    assert (problem.code, problem.files) == ("D220", ("photos/x.png",))
    assert problem.message.startswith("train: 1 of 2 ")
    assert all(name in problem.message for name in ("train.txt", "photos/x.png"))


def test_a_line_without_a_mask_is_d228_with_file_and_number(root: Path):
    (root / "train.txt").write_text("photos/a.png truth/a.png\nphotos/b.png\nphotos/c d.png truth/c d.png\n")
    (root / "val.txt").write_text("photos/b.png truth/b.png\n")
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "D228"
    assert problem.message.startswith(f"{root}/train.txt: line 2 is 'photos/b.png'; ")


def test_a_csv_row_without_a_mask_is_d228(root: Path):
    (root / "train.csv").write_text("image,mask\nphotos/a.png,truth/a.png\nphotos/b.png,\n")
    (root / "val.csv").write_text("image,mask\nphotos/b.png,truth/b.png\n")
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "D228"
    assert problem.message.startswith(f"{root}/train.csv: line 3 is 'photos/b.png,'; ")


def test_an_image_with_two_masks_is_d130(root: Path):
    (root / "train.txt").write_text("photos/a.png truth/a.png\nphotos/a.png truth/b.png\n")
    (root / "val.txt").write_text("photos/b.png truth/b.png\n")
    assert [problem.code for problem in open_dataset(Data(), root).problems] == ["D130"]


def test_text_files_of_another_kind_are_no_lists(make_folder: MakeFolder):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    (root / "train.txt").write_text("Notes about the training\nof last week\n")
    assert open_dataset(Data(), root).name == "folder"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_lists_written_on_windows_name_the_same_images(root: Path, ends: str):
    (root / "lists").mkdir()
    lines = [f"..\\photos\\{key}.png\t..\\truth\\{key}.png" for key in ("a", "c d")]
    (root / "lists" / "train.txt").write_bytes(("\ufeff" + "".join(line + ends for line in lines)).encode())
    (root / "lists" / "val.txt").write_bytes(f"..\\photos\\b.png\t..\\truth\\b.png{ends}".encode())
    assert ids(root) == {"train": ["a", "c d"], "val": ["b"]}
    dataset = open_dataset(Data(), root)
    assert [sample.id for sample in dataset.splits["train"]] == ["photos/a", "photos/c d"]
