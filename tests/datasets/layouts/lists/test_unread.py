import json
from pathlib import Path

import pytest

from pixelwise.datasets.layouts.lists.unread import unread_lists

KEYS = [f"street/p{number}" for number in range(10)]
NAMES = [f"p{number}" for number in range(10)]
SPLITS = ["train"] * 7 + ["val"] * 3


def unread(root: Path, name: str, text: str, keys: list[str] = KEYS) -> list[str]:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return [path.relative_to(root).as_posix() for path in unread_lists(root, keys)]


def lines(form: str, names: list[str] = NAMES) -> str:
    return "".join(form.format(name, split) + "\n" for name, split in zip(names, SPLITS, strict=False))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("annotations/train.txt", lines("{}")),
        ("annotations/trainval.txt", lines("{} 1 1 1")),
        ("meta/a/val_list.TXT", lines("images/{}.png", NAMES[7:])),
        ("test.json", json.dumps(NAMES[7:])),
        ("folds.csv", lines("{}.jpg;1")),
        ("train1.lst", lines("C:\\data\\{}.PNG")),
        ("split.yaml", f"train: [{', '.join(NAMES[:7])}]\nval: [{', '.join(NAMES[7:])}]\n"),
        ("metadata.csv", "name,split\n" + lines("{},{}")),
        ("all.tsv", lines('"{}"\t"{}"')),
        ("about.json", json.dumps({"Train": NAMES[:7], "TEST": NAMES[7:]})),
    ],
)
def test_what_names_images_and_is_about_splits_is_found(tmp_path: Path, name: str, text: str):
    assert unread(tmp_path, name, text) == [name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", lines("{}.png")),
        ("sizes.csv", "name,width\n" + lines("{},640")),
        ("train_log.txt", lines("{} loss 0.5")),
        ("val_scores.csv", lines("{},0.5")),
        ("train.txt", "p0\n"),
        ("train.txt", lines("{}", [f"q{number}" for number in range(10)])),
        ("README.txt", "p1 and p2 are for train, p3 for val\n"),
        ("a/b/c/train.txt", lines("{}")),
        (".hidden/train.txt", lines("{}")),
        ("train.md", lines("{}")),
        ("train.txt", lines("{}") + "\0\0\0"),
        ("train.yaml", "epochs: 10\nval: 0.2\n"),
    ],
)
def test_other_files_are_not(tmp_path: Path, name: str, text: str):
    assert unread(tmp_path, name, text) == []


def test_of_very_many_files_those_named_after_a_split_are_read(tmp_path: Path):
    for number in range(250):
        (tmp_path / f"{number:03d}.txt").touch()
    assert unread(tmp_path, "x.csv", lines("{},{}")) == []
    assert unread(tmp_path, "train.txt", lines("{}")) == ["train.txt"]
