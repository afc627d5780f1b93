from pathlib import Path

import pytest

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.lists.files import find_lists
from pixelwise.errors import DataError


def found(root: Path, *names: str, text: str = "a.png\n") -> dict[str, str] | None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    lists = find_lists(root)
    return lists and {split: path.relative_to(root).as_posix() for split, path in lists.of_split.items()}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train.txt", "valid.txt", "testing.txt"], {"train": "train.txt", "val": "valid.txt", "test": "testing.txt"}),
        (["lists/Train.LST", "lists/VAL.lst"], {"train": "lists/Train.LST", "val": "lists/VAL.lst"}),
        (["ImageSets/Main/train.txt", "ImageSets/Main/val.txt"], None),
        (["trainval.txt", "test.txt"], {"train": "trainval.txt", "test": "test.txt"}),
        (["train.txt", "val.txt", "trainval.txt"], {"train": "train.txt", "val": "val.txt"}),
        (["train_list.txt", "val_image_ids.txt"], {"train": "train_list.txt", "val": "val_image_ids.txt"}),
        (["train.csv", "val.csv"], {"train": "train.csv", "val": "val.csv"}),
    ],
)
def test_lists_go_by_the_splits_in_their_names(tmp_path: Path, names: list[str], expected: dict[str, str] | None):
    assert found(tmp_path, *names) == (expected or {Path(name).stem: name for name in names})


@pytest.mark.parametrize("name", ["README.txt", "notes.txt", "requirements.txt", "train_log.txt", "street_train.txt"])
def test_other_names_are_no_lists(tmp_path: Path, name: str):
    assert found(tmp_path, name) is None


def test_a_table_of_other_things_is_no_list(tmp_path: Path):
    assert found(tmp_path, "train.csv", text="id,score\n17,0.5\n") is None
    assert found(tmp_path, "train.csv", text="a.png,a_mask.png\n") == {"train": "train.csv"}


def test_a_table_of_all_splits_is_a_list_by_its_header(tmp_path: Path):
    assert found(tmp_path, "all.csv", text="image,mask,split\na.png,b.png,val\nc.png,d.png,train\n") == {
        "train": "all.csv"
    }
    lists, problems = find_lists(tmp_path), list[Finding]()
    assert lists is not None
    assert {split: [row.image for _, row in rows] for split, rows in lists.read(problems).items()} == {
        "val": ["a.png"],
        "train": ["c.png"],
    }


def test_a_json_file_of_all_splits_is_found(tmp_path: Path):
    (tmp_path / "splits.json").write_text('{"train": ["a"], "val": ["b"]}')
    lists = find_lists(tmp_path)
    assert lists is not None
    assert (lists.names, list(lists.read([]))) == ("splits.json", ["train", "val"])


def test_prose_without_a_training_list_is_left_alone(tmp_path: Path):
    assert found(tmp_path, "test.txt", text="how we tested the camera\n") is None


@pytest.mark.parametrize("name", ["val.txt", "test_list.txt", "lists/validation.lst"])
def test_a_list_without_one_to_train_on_is_d232(tmp_path: Path, name: str):
    with pytest.raises(DataError, match=rf"D232.*{Path(name).name}.*no list for 'train'"):
        found(tmp_path, name)


def test_two_different_lists_of_a_split_are_d232(tmp_path: Path):
    assert found(tmp_path, "train.txt", "training.txt") == {"train": "train.txt"}
    (tmp_path / "training.txt").write_text("b.png\n")
    with pytest.raises(DataError, match=r"D232.*train\.txt and .*training\.txt"):
        find_lists(tmp_path)
