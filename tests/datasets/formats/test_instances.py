"""One mask per object: every expected number is counted by hand, or by numpy on the real files."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.formats.instances import instances_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_labels, read_pair
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (6, 8)


def image(path: Path, mode: str = "RGBA") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(list(str(path).encode())).integers(0, 256, (*SIZE, 4), np.uint8)
    Image.fromarray(pixels, "RGBA").convert(mode).save(path)


def mask(
    path: Path, top: int, left: int, bottom: int, right: int, value: int = 255, size: tuple[int, int] = SIZE
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size, np.uint8)
    pixels[top:bottom, left:right] = value
    Image.fromarray(pixels).save(path)


def case(root: Path, key: str, names: tuple[str, str] = ("0", "1")) -> None:
    """A folder per image: objects of 2x2 and 2x3 pixels, one of which they share."""
    image(root / key / "images" / f"{key.rpartition('/')[2]}.png")
    mask(root / key / "masks" / f"{names[0]}.png", 0, 0, 2, 2)
    mask(root / key / "masks" / f"{names[1]}.png", 1, 1, 3, 4)


def counts(root: Path) -> dict[str, dict[str, int]]:
    """Split/id -> pixels per class."""
    dataset = open_dataset(Data(), root)
    assert dataset.name == "instances"
    return {
        f"{split}/{sample.id}": {
            dataset.classes[value] if value != 255 else "ignored": int(number)
            for value, number in zip(*np.unique(read_labels(sample, dataset), return_counts=True), strict=True)
        }
        for split, samples in dataset.splits.items()
        for sample in samples
    }


def problems(root: Path) -> dict[str, str]:
    return {problem.code: problem.message for problem in open_dataset(Data(), root).problems}


def test_the_union_of_overlapping_objects_by_hand(tmp_path: Path):
    for key in ("a1", "b2"):
        case(tmp_path, key)
    found = counts(tmp_path)
    assert {name.partition("/")[2] for name in found} == {"a1", "b2"}
    assert list(found.values()) == [{"background": 39, "object": 9}] * 2
    assert problems(tmp_path) == {}


def test_objects_on_top_of_each_other_in_any_binary_encoding(tmp_path: Path):
    case(tmp_path, "a1")
    folder = tmp_path / "a1" / "masks"
    mask(folder / "2.tif", 5, 0, 6, 3, 1)  # 0 and 1
    Image.fromarray(np.pad(np.ones((1, 2), bool), ((4, 1), (6, 0)))).save(folder / "3.png")  # 1 bit
    colored = np.zeros((*SIZE, 3), np.uint8)
    colored[0, 7] = 200, 10, 0
    Image.fromarray(colored).save(folder / "4.png")
    case(tmp_path, "b2")
    assert {"background": 39 - 3 - 2 - 1, "object": 9 + 3 + 2 + 1} in counts(tmp_path).values()


@pytest.mark.parametrize(
    ("write", "keys"),
    [
        (lambda root: [case(root, f"stage1_train/{key}") for key in "ab"], {"stage1_train/a", "stage1_train/b"}),
        (lambda root: [case(root, f"{split}/a") for split in ("train", "val")], {"train/a", "val/a"}),
        (lambda root: shared(root, "images/{}.png", "masks/{}/{}.png", "ab"), {"a", "b"}),
        (
            lambda root: shared(root, "images/{}.png", "masks/{}/{}.png", ("train/a", "val/a")),
            {"train/a", "val/a"},
        ),
        (lambda root: shared(root, "{}/images/1.png", "{}/masks/1/{}.png", ("train", "val")), {"train/1", "val/1"}),
        (lambda root: shared(root, "{0}/{0}.png", "{0}/masks/{1}.png", "ab"), {"a", "b"}),
    ],
    ids=["stage1_train", "same names in two splits", "shared", "shared, splits inside", "splits outside", "beside"],
)
def test_every_layout_reads_the_same_pixels(write: Callable[[Path], object], keys: set[str], tmp_path: Path):
    write(tmp_path)
    found = counts(tmp_path)
    assert {name.partition("/")[2] for name in found} == keys
    assert list(found.values()) == [{"background": 39, "object": 9}] * 2
    if any(key.startswith("val/") for key in keys):
        assert set(found) == {f"{key.partition('/')[0]}/{key}" for key in keys}
    assert problems(tmp_path) == {}


def shared(root: Path, of_image: str, of_mask: str, keys: tuple[str, ...] | str) -> None:
    for key in keys:
        image(root / of_image.format(key))
        mask(root / of_mask.format(key, 0), 0, 0, 2, 2)
        mask(root / of_mask.format(key, 1), 1, 1, 3, 4)


@pytest.mark.parametrize("name", ["masks/{}_{}.png", "masks/{}_mask_{}.png", "masks/{}-{}.png", "masks/{}.{}.png"])
def test_numbered_masks_in_one_folder(name: str, tmp_path: Path):
    shared(tmp_path, "images/{}.png", name, ("a", "a_b"))  # the longer name of two that fit
    found = counts(tmp_path)
    assert {key.partition("/")[2] for key in found} == {"a", "a_b"}
    assert list(found.values()) == [{"background": 39, "object": 9}] * 2
    mask(tmp_path / "masks" / "stray.png", 0, 0, 1, 1)
    image(tmp_path / "images" / "none.png")
    found = open_dataset(Data(dataset="instances"), tmp_path).problems
    assert {problem.code for problem in found} == {"W222", "W223"}


def test_numbered_masks_beside_splits_and_with_classes(tmp_path: Path):
    for split in ("train", "val"):
        image(tmp_path / "images" / split / "a.png")
        mask(tmp_path / "masks" / split / "a_car_0.png", 0, 0, 2, 2)
        mask(tmp_path / "masks" / split / "a_tree_1.png", 1, 1, 3, 4)
    expected = {"background": 39, "car": 4, "tree": 5}
    assert counts(tmp_path) == {"train/train/a": expected, "val/val/a": expected}


def test_one_folder_of_images_whose_masks_alone_name_the_split(tmp_path: Path):
    for key, split in (("a", "train"), ("b", "val")):
        shared(tmp_path, "images/{}.png", f"masks/{split}/{{}}/{{}}.png", key)
    assert counts(tmp_path) == {key: {"background": 39, "object": 9} for key in ("train/a", "val/b")}


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("car_01", "tree_1"), {"car": 4, "tree": 5}),  # 2x2 is smaller than 2x3 and lies on top
        (("car", "tree"), {"car": 4, "tree": 5}),
        (("car (1)", "car (2)"), {"car": 9}),
        (("{}_tree_0", "{}_car_1"), {"car": 5, "tree": 4}),
        (("ignore_1", "car_2"), {"ignored": 4, "car": 5}),
        (("tree/0", "car/1"), {"car": 5, "tree": 4}),
        (("mask_1", "mask_2"), {"object": 9}),
        (("mask_1", "instance_2"), {"object": 9}),
        (("0a1b", "1811379154b848"), {"object": 9}),
    ],
)
def test_classes_come_from_names_that_are_clear(names: tuple[str, str], classes: dict[str, int], tmp_path: Path):
    for key in ("a1", "b2"):
        case(tmp_path, key, (names[0].format(key), names[1].format(key)))
    assert [*counts(tmp_path).values()] == [{"background": 39, **classes}] * 2


def test_names_of_some_masks_alone_are_no_classes_and_that_is_said(tmp_path: Path):
    for key in ("a1", "b2"):
        case(tmp_path, key, ("car_1", "tree_1"))
    mask(tmp_path / "a1" / "masks" / "77.png", 0, 0, 1, 1)
    assert [set(found) for found in counts(tmp_path).values()] == [{"background", "object"}] * 2
    assert "77.png" in problems(tmp_path)["W244"]


def test_words_that_do_not_repeat_are_no_classes(tmp_path: Path):
    for key, names in (("a1", ("foo", "bar")), ("b2", ("baz", "qux"))):
        case(tmp_path, key, names)
    assert [set(found) for found in counts(tmp_path).values()] == [{"background", "object"}] * 2


def test_whatever_is_superfluous_is_said(tmp_path: Path):
    for key in ("a1", "b2"):
        case(tmp_path, key)
    image(tmp_path / "c3" / "images" / "c3.png")  # no masks
    mask(tmp_path / "d4" / "masks" / "0.png", 0, 0, 1, 1)  # no image
    for name in ("x", "y"):
        image(tmp_path / "e5" / "images" / f"{name}.png")  # two images
    mask(tmp_path / "e5" / "masks" / "0.png", 0, 0, 1, 1)
    case(tmp_path, "f6")
    mask(tmp_path / "f6" / "masks" / "empty.png", 0, 0, 0, 0)  # an object without a pixel
    (tmp_path / "f6" / "masks" / "notes.heic").write_bytes(b"x")
    found = open_dataset(Data(), tmp_path).problems
    said = {problem.code: problem.message for problem in found}
    assert said.keys() == {"D230", "W215", "W221", "W222"}
    assert all(name in " ".join((said["D230"], *(file for p in found for file in p.files))) for name in ("d4", "e5"))
    assert "c3.png" in said["W222"]
    assert ".heic" in said["W215"]
    assert {name.partition("/")[2] for name in counts(tmp_path)} == {"a1", "b2", "f6"}


def test_masks_in_folders_of_no_image_are_said(tmp_path: Path):
    shared(tmp_path, "images/{}.png", "masks/{}/{}.png", "ab")
    mask(tmp_path / "masks" / "c" / "0.png", 0, 0, 1, 1)
    mask(tmp_path / "masks" / "stray.png", 0, 0, 1, 1)
    said = problems(tmp_path)
    assert "c/" in said["D230"]
    assert "stray.png" in said["W223"]


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: mask(path, 0, 0, 1, 1, size=(5, 8)), "8x5 (WxH), its image 8x6"),
        (lambda path: Image.fromarray(np.arange(48, dtype=np.uint8).reshape(SIZE)).save(path), "several values"),
        (lambda path: Image.fromarray(np.zeros(SIZE, np.uint8)).save(path.with_suffix(".jpg")), "blurs"),
        (lambda path: path.write_bytes(b"no picture"), "bad"),
    ],
    ids=["size", "ids", "lossy", "damaged"],
)
def test_a_mask_that_cannot_be_used_leaves_its_image_out(write: Callable[[Path], None], reason: str, tmp_path: Path):
    for key in ("a1", "b2", "c3"):
        case(tmp_path, key)
    write(tmp_path / "a1" / "masks" / "bad.png")
    assert len(counts(tmp_path)) == 2
    assert "a1.png" in problems(tmp_path)["D230"]
    assert reason in problems(tmp_path)["D230"]


@pytest.mark.parametrize(
    "files",
    [
        {"images/a": "image", "images/b": "image", "masks/a": "mask", "masks/b": "mask"},
        {"images/a_1": "image", "images/a_2": "image", "masks/a_1": "mask", "masks/a_2": "mask"},
        {"images/a": "image", "images/b": "image", "masks/a_mask": "mask", "masks/b_mask": "mask"},
        {"images/a": "image", "images/b": "image", "masks/crack/a": "mask", "masks/rust/b": "mask"},
        {"a/images/1": "image", "a/masks/1": "mask", "b/images/2": "image", "b/masks/2_mask": "mask"},
        {"train/images/a": "image", "train/masks/a": "mask", "val/images/b": "image", "val/masks/b": "mask"},
    ],
    ids=["one mask", "numbers", "suffix", "masks per class", "one mask in a folder per image", "splits"],
)
def test_masks_that_are_not_those_of_objects_stay_what_they_are(files: dict[str, str], tmp_path: Path):
    for name, kind in files.items():
        image(tmp_path / f"{name}.png") if kind == "image" else mask(tmp_path / f"{name}.png", 0, 0, 2, 2, 1)
    assert instances_layout(tmp_path) is None
    if (tmp_path / "images").is_dir() or (tmp_path / "train").is_dir():
        assert open_dataset(Data(), tmp_path).name == "folder"


def test_nothing_is_found_in_an_empty_folder_and_a_named_format_says_what_it_needs(tmp_path: Path):
    assert instances_layout(tmp_path) is None
    with pytest.raises(DataError, match="a folder of masks for every image") as caught:
        open_dataset(Data(dataset="instances"), tmp_path)
    assert caught.value.code == "D222"


@pytest.fixture
def nuclei() -> Path:
    """The microscope images of Data Science Bowl 2018, beside the clone or where PIXELWISE_NUCLEI says."""
    named = os.environ.get("PIXELWISE_NUCLEI")
    root = Path(named) if named else Path(__file__).resolve().parents[4] / "shared" / "nuclei"
    if not (root / "stage1_train").is_dir():
        pytest.skip(f"the nuclei are not at {root}; set PIXELWISE_NUCLEI to the folder that holds stage1_train/")
    return root


def differing(dataset: Dataset, step: int) -> list[str]:
    """Ids of the images whose labels are not the union that numpy finds in the files."""
    wrong = []
    for sample in [sample for samples in dataset.splits.values() for sample in samples][::step]:
        picture, labels = read_pair(sample, dataset)
        files = sorted((sample.image_path.parents[1] / "masks").glob("*.png"))
        union = np.any([np.asarray(Image.open(file)) > 0 for file in files], axis=0)
        rgb = np.asarray(Image.open(sample.image_path))[..., :3]
        wrong += [sample.id] if not (np.array_equal(labels, union) and np.array_equal(picture, rgb)) else []
    return wrong


@pytest.mark.heavy
def test_the_nuclei_are_read_as_they_lie(nuclei: Path):
    dataset = open_dataset(Data(), nuclei)
    assert (dataset.name, dataset.classes) == ("instances", ("background", "object"))
    assert sum(map(len, dataset.splits.values())) == 160
    assert dataset.divided
    assert dataset.problems == ()
    assert differing(dataset, 1) == []
