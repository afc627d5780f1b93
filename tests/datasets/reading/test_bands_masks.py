"""Label masks that are NumPy arrays beside ordinary images."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.converting import convert_to_folder
from pixelwise.datasets.reading.bands import read_array_mask
from pixelwise.datasets.reading.masks import load_mask
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
MASK = np.array([[0, 1, 2], [2, 255, 0]])


def picture(path: Path, size: tuple[int, int] = (2, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)


def array(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for split in ("train", "val"):
        picture(folder / "images" / split / f"{split}.jpg")
        array(folder / "masks" / split / f"{split}.npy", MASK)
    return folder


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_integers_of_every_width_are_ids(tmp_path: Path, dtype: type):
    read = read_array_mask(array(tmp_path / "a.npy", MASK.astype(dtype)), 10)
    assert read.dtype == np.uint8
    assert read.tolist() == MASK.tolist()


def test_truth_values_are_zero_and_one(tmp_path: Path):
    assert read_array_mask(array(tmp_path / "a.npy", MASK > 1), 10).tolist() == [[0, 0, 1], [1, 1, 0]]


def test_large_and_negative_ids_survive_as_they_are(tmp_path: Path):
    assert read_array_mask(array(tmp_path / "a.npy", np.array([[0, 7001]])), 10).dtype == np.uint16
    assert read_array_mask(array(tmp_path / "b.npy", np.array([[-1, 70000]])), 10).tolist() == [[-1, 70000]]
    assert read_array_mask(array(tmp_path / "c.npy", np.array([[2**64 - 1]], np.uint64)), 10).tolist() == [[2**64 - 1]]


def test_a_folder_of_arrays_beside_images_opens_and_is_audited(root: Path):
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.problems, len(dataset.classes)) == ("folder", (), 3)
    image, labels = read_pair(dataset.samples("val")[0], dataset)
    assert (image.shape, labels.dtype, labels.tolist()) == ((2, 3, 3), np.uint8, MASK.tolist())
    found = audit(dataset)
    assert found.errors == ()
    assert found.mask_encodings == {"8-bit NPY": 2}
    assert found.statistics["train"].pixels == (2, 1, 2)


def test_arrays_beside_their_images_are_masks(tmp_path: Path):
    for name in ("a", "b", "c", "d", "e", "f"):
        picture(tmp_path / f"{name}.jpg")
        array(tmp_path / f"{name}_mask.npy", MASK)
    dataset = open_dataset(Data(), tmp_path)
    assert sum(len(samples) for samples in dataset.splits.values()) == 6
    assert read_pair(dataset.samples("train")[0], dataset)[1].tolist() == MASK.tolist()


def test_the_fingerprint_notices_another_array(root: Path):
    before = fingerprint(open_dataset(Data(), root))
    array(root / "masks" / "val" / "val.npy", MASK[::-1])
    assert fingerprint(open_dataset(Data(), root)) != before


def test_arrays_are_converted_to_masks_that_are_images(root: Path, tmp_path: Path):
    convert_to_folder(open_dataset(Data(), root), tmp_path / "out")
    assert np.asarray(Image.open(tmp_path / "out" / "masks" / "val" / "val.png")).tolist() == MASK.tolist()


def test_an_id_that_nobody_named_is_d202_in_the_audit(root: Path):
    array(root / "masks" / "val" / "val.npy", np.array([[0, 1, -1], [0, 1, 2]]))
    data = Data(classes=("a", "b", "c"))
    errors = {found.code: found.message for found in audit(open_dataset(data, root)).errors}
    assert "-1" in errors["D202"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[0, 0.5], [1, 0]], np.float32), r"float32 .*1 px .*0\.5"),
        (np.array([[0, np.nan], [np.inf, 0]]), r"float64 .*2 px .*nan"),
        (np.zeros((2, 3), np.complex64), r"complex64 .*\[2, 3\]"),
        (np.zeros((2, 3, 4), np.uint8), r"uint8 .*\[2, 3, 4\]"),
    ],
)
def test_what_is_no_mask_is_d205_with_the_way_out(tmp_path: Path, values: np.ndarray, words: str):
    with pytest.raises(DataError) as caught:
        load_mask(array(tmp_path / "a.npy", values), LabelTable(), max_pixels=100)
    assert caught.value.code == "D205"
    assert re.search(words, caught.value.message)
    assert "argmax" in caught.value.help


def test_objects_are_never_unpickled_from_a_mask(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError) as caught:
        read_array_mask(tmp_path / "a.npy", 10)
    assert caught.value.code in ("D101", "D205")


def test_a_truncated_array_is_d101_and_a_huge_one_d120(tmp_path: Path):
    path = array(tmp_path / "a.npy", MASK)
    with pytest.raises(DataError) as caught:
        read_array_mask(path, 5)
    assert caught.value.code == "D120"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError) as caught:
        read_array_mask(path, 10)
    assert caught.value.code == "D101"
