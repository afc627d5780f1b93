from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.testing.miniatures import write_miniature

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


PAIR = "photos/{0}.png truth/{0}.png"


def lists(root: Path, line: str, encoding: str = "utf-8", ending: str = "\n", suffix: str = ".txt") -> None:
    for name, keys in (("train", ("a", "b")), ("val", ("c d",))):
        text = ending.join(line.format(key) for key in keys) + ending
        (root / f"{name}{suffix}").write_bytes(text.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize(
    "line",
    [
        PAIR,
        "./photos/{0}.png\t./truth/{0}.png",
        "/photos/{0}.png /truth/{0}.png",
        "/home/me/proj/photos/{0}.png /home/me/proj/truth/{0}.png",
        "C:\\proj\\photos\\{0}.png;C:\\proj\\truth\\{0}.png",
        '"photos/{0}.png","truth/{0}.png"',
        '"photos/{0}.png" "truth/{0}.png"',
        "photos/{0}.png , truth/{0}.png   ",
    ],
)
def test_pairs_are_understood_as_editors_and_other_machines_write_them(root: Path, line: str, encoding: str):
    lists(root, line, encoding, "\r\n")
    assert ids(root) == {"train": ["a", "b"], "val": ["c d"]}
    assert {problem.code for problem in open_dataset(Data(), root).problems} <= {"W225"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "latin-1"])
@pytest.mark.parametrize(
    "line", ["{}", "{}.png", "{} 1", "{}  -1", "'{}'", "/home/me/images/{}.jpg", "images\\{}", "{}\t", "masks/{}.png"]
)
def test_names_are_understood_in_every_form(make_folder: MakeFolder, line: str, encoding: str):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    lists(root, line, encoding)
    assert ids(root) == {"train": ["a", "b"], "val": ["c d"]}
    assert {problem.code for problem in open_dataset(Data(), root).problems} <= {"W225"}


def test_letters_of_western_encodings_are_understood(make_folder: MakeFolder):
    root = make_folder(dict.fromkeys(("é", "ü"), MASK))
    (root / "train.txt").write_bytes("é\n".encode("latin-1"))
    (root / "val.txt").write_bytes("ü.png\n".encode())
    assert ids(root) == {"train": ["é"], "val": ["ü"]}


@pytest.mark.parametrize("stem", ["train_list", "list_train", "train_ids", "training", "trainval", "Train"])
def test_the_name_of_a_list_may_have_other_words(make_folder: MakeFolder, stem: str):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    (root / f"{stem}.txt").write_text("a\nb\n")
    (root / "validation.lst").write_text("c d\n")
    assert ids(root) == {"train": ["a", "b"], "val": ["c d"]}


def test_a_json_file_may_give_the_splits(make_folder: MakeFolder):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    (root / "splits.json").write_text('{"train": ["a", "b.png"], "valid": [["images/c d.png", "masks/c d.png"]]}')
    assert {name: len(found) for name, found in open_dataset(Data(), root).splits.items()} == {"train": 2, "val": 1}
    for content in ('{"train": ["a"]', '{"train": [3]}', '["a"]', '{"fold": ["a"]}'):
        (root / "splits.json").write_text(content)
        with pytest.raises(DataError, match=r"D228.*splits\.json"):
            open_dataset(Data(), root)


def test_a_name_that_several_images_have_is_not_guessed(make_folder: MakeFolder):
    root = make_folder(dict.fromkeys(("x/1", "y/1", "x/2", "y/3"), MASK))
    (root / "train.txt").write_text("x/1\n2\n")
    (root / "val.txt").write_text("1\n3\n")
    dataset = open_dataset(Data(), root)
    assert ids(root) == {"train": ["1", "2"], "val": ["3"]}
    (problem,) = dataset.problems
    assert problem.code == "D220"
    assert all(part in problem.message for part in ("val.txt: line 1, '1'", "images/x/1.png", "images/y/1.png"))


def test_folders_of_splits_decide_between_names(make_folder: MakeFolder):
    root = make_folder(dict.fromkeys(("train/1", "val/1", "val/2"), MASK))
    for name in ("train", "val"):
        (root / f"{name}.txt").write_text("1\n")
    splits = open_dataset(Data(), root).splits
    assert {name: [sample.image_path.parent.name for sample in found] for name, found in splits.items()} == {
        "train": ["train"],
        "val": ["val"],
    }


@pytest.mark.parametrize(
    "line", ["other{}", PAIR.replace("photos", "images").replace("truth", "masks").replace("{0}", "x{0}")]
)
def test_a_list_of_another_data_set_is_d232_with_list_and_line(make_folder: MakeFolder, line: str):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    lists(root, line)
    with pytest.raises(DataError, match=r"D232.*train\.txt: .*line 1, '") as caught:
        open_dataset(Data(), root)
    assert open_dataset(Data(dataset="folder"), root).problems == ()
    assert "data.dataset=folder" in caught.value.help
    (root / "train.txt").write_text("a\nb\n")
    found = open_dataset(Data(), root).problems
    assert "D232" in {problem.code for problem in found}
    assert any("val.txt: line 1" in problem.message for problem in found)


def test_lists_without_one_to_train_on_are_d232(make_folder: MakeFolder):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    (root / "val.txt").write_text("a\n")
    with pytest.raises(DataError, match=r"D232.*val\.txt.*'train'"):
        open_dataset(Data(), root)


def test_two_lists_of_a_split_are_d232_unless_they_are_equal(make_folder: MakeFolder):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    (root / "train.txt").write_text("a\nb\n")
    (root / "val.txt").write_text("c d\n")
    (root / "valid.txt").write_text("c d\r\n")
    assert ids(root) == {"train": ["a", "b"], "val": ["c d"]}
    (root / "valid.txt").write_text("a\n")
    with pytest.raises(DataError, match=r"D232.*val\.txt and .*valid\.txt"):
        open_dataset(Data(), root)


@pytest.mark.parametrize("content", ["", "\n# nothing\n"])
def test_an_empty_list_is_d221(make_folder: MakeFolder, content: str):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    (root / "train.txt").write_text("a\nb\n")
    (root / "val.txt").write_text(content)
    (problem,) = open_dataset(Data(), root).problems
    assert (problem.code, "'val'" in problem.message) == ("D221", True)
    (root / "train.txt").write_text(content)
    with pytest.raises(DataError, match=r"D232.*train\.txt: names no image"):
        open_dataset(Data(), root)


@pytest.mark.parametrize(
    "name", ["README.txt", "LICENSE.txt", "requirements.txt", "notes.txt", "train_log.txt", "classes.txt"]
)
def test_other_text_files_are_no_lists(make_folder: MakeFolder, name: str):
    root = make_folder(dict.fromkeys(KEYS, MASK))
    (root / name).write_text("numpy\nsomething else\n")
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.problems) == ("folder", ())


def test_lists_of_names_divide_annotations_too(tmp_path: Path, own_cache: Path):
    root = write_miniature("coco", tmp_path / "coco", (3, 1))
    (root / "train.txt").write_text("train/0000\nval/0000.png\n")
    (root / "val.txt").write_text("train/0001\ntrain/0002\n")
    dataset = open_dataset(Data(), root)
    assert {name: [s.id for s in found] for name, found in dataset.splits.items()} == {
        "train": ["train/0000", "val/0000"],
        "val": ["train/0001", "train/0002"],
    }
    whole = open_dataset(Data(dataset="coco"), root)
    assert (dataset.classes, dataset.label_names) == (whole.classes, whole.label_names)
