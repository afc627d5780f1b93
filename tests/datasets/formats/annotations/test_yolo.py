import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.formats.annotations.yolo import read_names
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (8, 10)
LEFT_HALF = "0 0 0 0.5 0 0.5 1 0 1"
SMALL = "1 0.1 0.25 0.3 0.25 0.3 0.5 0.1 0.5"
YAML = (
    "path: ../datasets/x\ntrain: images/train\nval: images/val\n\nnames:\n  0: road # tarmac\n  1: 'car: red'\nnc: 2\n"
)


def write(root: Path, key: str, text: str | None, images: str = "images/{}", labels: str = "labels/{}") -> None:
    image = (root / images.format(key)).with_suffix(".jpg")
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(image)
    file = (root / labels.format(key)).with_suffix(".txt")
    file.parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        file.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "yolo"
    write(folder, "train/a", f"{SMALL}\n{LEFT_HALF}\n")
    write(folder, "val/b", LEFT_HALF)
    (folder / "data.yaml").write_text(YAML)
    return folder


def test_polygons_in_text_files_are_recognised_with_their_names(root: Path):
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.classes, dataset.problems) == ("yolo", ("background", "road", "car: red"), ())
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "val": 1}


def test_coordinates_are_shares_of_the_image_and_the_smaller_object_lies_on_top(root: Path):
    dataset = open_dataset(Data(), root)
    expected = np.zeros(SIZE, np.uint8)
    expected[:, :5] = 1
    expected[2:4, 1:3] = 2
    assert np.array_equal(read_pair(dataset.samples("train")[0], dataset)[1], expected)


def test_roboflows_folders_are_recognised(tmp_path: Path):
    for split in ("train", "valid"):
        write(tmp_path / "d", "a", LEFT_HALF, f"{split}/images/{{}}", f"{split}/labels/{{}}")
    dataset = open_dataset(Data(), tmp_path / "d")
    assert (dataset.name, dataset.classes) == ("yolo", ("background", "class_0"))
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "val": 1}


def test_folders_without_splits_are_divided(tmp_path: Path):
    for i in range(10):
        write(tmp_path / "d", f"x{i}", LEFT_HALF)
    dataset = open_dataset(Data(), tmp_path / "d")
    assert sorted(dataset.splits) == ["train", "val"]
    assert sum(map(len, dataset.splits.values())) == 10


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_an_image_without_objects_is_background(root: Path, text: str | None):
    write(root, "train/c", text)
    dataset = open_dataset(Data(), root)
    assert [problem.code for problem in dataset.problems] == ([] if text is not None else ["W226"])
    assert not read_pair(dataset.samples("train")[1], dataset)[1].any()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", r"bounding box .*\b4\b"),
        ("0 0 0 1 0 1", r"\b5 .*\b3 or more"),
        ("0 0 0 40 0 40 60", r"\b0\.\.1\b"),
        ("2 0 0 1 0 1 1", r"class 2\b.* 0\.\.1\b"),
        ("road 0 0 1 0 1 1", "'road 0 0 1 0 1 1'"),
    ],
)
def test_a_wrong_line_is_d230_with_file_and_number(root: Path, line: str, message: str):
    write(root, "train/c", line)
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "D230"
    assert problem.message.startswith(f"{root}/labels/train/c.txt: line 1 ")
    assert re.search(message, problem.message)


@pytest.mark.parametrize(
    "text",
    [
        "names: [road, 'big car', \"van\"]",
        "nc: 3\nnames:\n- road\n- big car\n- van\ntrain: x",
        "names:\n  0: road\n  2: van\n  1: big car\n",
        "names: {0: road, 1: big car, 2: van}  # three",
        "names: ['road',\n  'big car',\n  'van']\nval: y",
        "'names': [road, big car, van]",
        '{"nc": 3, "names": ["road", "big car", "van"]}',
        '{\n"names": ["road", "big car", "van"]}',
        "x: &all\n  0: road\n  1: big car\n  2: van\nnames: *all\n",
        "names:\n- road\n- >-\n  big\n  car\n- van",
        "names:\n  '0': road\n  \"1\": big car\n  02: van\nnc: '3'\n",
        "names:\n  ? 0\n  : road\n  ? 1\n  : big\n    car\n  ? 2\n  : van\n",
    ],
)
def test_names_are_read_in_every_form_that_tools_write(tmp_path: Path, text: str):
    (tmp_path / "data.yaml").write_text(text)
    assert read_names(tmp_path / "data.yaml") == {0: "road", 1: "big car", 2: "van"}


def test_names_that_cannot_be_read_are_d230(root: Path):
    (root / "data.yaml").write_text("names: &anchor\n")
    with pytest.raises(DataError, match=r"data\.yaml, line 1: ") as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D230"


def test_a_name_is_the_text_of_the_file(tmp_path: Path):
    (tmp_path / "data.yaml").write_text("names: [no, on, 1.0, 2024-01-01, null, 'it''s', \"caf\\xe9\"]")
    assert list(read_names(tmp_path / "data.yaml").values()) == [
        "no",
        "on",
        "1.0",
        "2024-01-01",
        "null",
        "it's",
        "café",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nc: 3\nnames: [road, car]\n", 1),
        ("names: [road, car]\nnc: 3\n", 2),
        ("names: [road, car]\nnc: " + "9" * 5000, 2),
        ("names: [road,\n [car]]\n", 2),
        ("names: [road, '']\n", 1),
        ("names:\n- road\n-\n- car\n", 3),
        ("names:\n  0: road\n  one: car\n", 3),
        ("names:\n  0: road\n  0: car\n", 3),
        ("names:\n  0: road\n  00: car\n", 3),
        ("names:\n  0: road\n  \u00b2: car\n", 3),
        ("names:\n  0: road\n  " + "9" * 5000 + ": car\n", 3),
        ("names:\n  0: road\n  -1: car\n", 3),
        ("names: coco.names\n", 1),
        ("names: []\n", 1),
        ("names: [road\n", 2),
        ("names: &a [*a]\n", 1),
    ],
)
def test_names_that_are_wrong_are_d230_with_file_and_line(tmp_path: Path, text: str, line: int):
    (tmp_path / "data.yaml").write_text(text, "utf-8")
    with pytest.raises(DataError, match=rf"data\.yaml, line {line}: ") as caught:
        read_names(tmp_path / "data.yaml")
    assert caught.value.code == "D230"


def test_names_within_another_key_are_not_those_of_the_classes(root: Path):
    (root / "data.yaml").unlink()
    (root / "other.yml").write_text("files:\n  names: [x]\n")
    (root / "classes.txt").write_text("road\nlittle car\n")
    assert open_dataset(Data(), root).classes == ("background", "road", "little car")


@pytest.mark.parametrize("place", ["classes.txt", "labels/classes.txt"])
def test_names_may_be_lines_of_a_text_file(root: Path, place: str):
    (root / "data.yaml").unlink()
    (root / place).write_text("road\nlittle car\n\n")
    dataset = open_dataset(Data(), root)
    assert (dataset.classes, dataset.problems) == (("background", "road", "little car"), ())


def test_an_empty_line_among_the_names_would_shift_them(root: Path):
    (root / "classes.txt").write_text("road\n\ncar\n")
    with pytest.raises(DataError, match=r"classes\.txt: ") as caught:
        read_names(root / "classes.txt")
    assert caught.value.code == "D230"


@pytest.mark.parametrize("names", [None, "road\nlittle car\n"])
@pytest.mark.parametrize("count", ["nc: 2\n", "'nc': 2\n", ""])
def test_splits_are_those_of_a_description_that_only_counts_the_classes(tmp_path: Path, count: str, names: str | None):
    keys = [f"p{number}" for number in range(10)]
    for key in keys:
        write(tmp_path, key, "1 0 0 0.5 0 0.5 0.5\n0 0.5 0.5 1 0.5 1 1\n")
    (tmp_path / "train.txt").write_text("".join(f"./images/{key}.jpg\n" for key in keys[:3]))
    (tmp_path / "val.txt").write_text("".join(f"./images/{key}.jpg\n" for key in keys[3:]))
    (tmp_path / "data.yaml").write_text(f"{count}train: train.txt\nval: val.txt\n")
    if names is not None:
        (tmp_path / "classes.txt").write_text(names)
    dataset = open_dataset(Data(dataset="yolo"), tmp_path)
    expected = names.split("\n")[:2] if names else ["class_0", "class_1"]
    assert dataset.classes == ("background", *expected)
    found = {split: [sample.id for sample in samples] for split, samples in dataset.splits.items()}
    assert (found == {"train": keys[:3], "val": keys[3:]}) == bool(count)
