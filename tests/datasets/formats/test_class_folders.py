"""One black-and-white mask per class: the files found, the labels read and the errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.auditing.class_weights import positive_weights
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_labels, read_pair
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.class_sets.tables import IGNORE_BIT
from pixelwise.recipes.schema.recipe import Data

SIZE = (4, 6)
Write = Callable[..., Path]


def half(side: str) -> np.ndarray:
    """bool (4, 6): the upper, lower, left or right half."""
    mask = np.zeros(SIZE, bool)
    mask[{"top": np.s_[:2], "bottom": np.s_[2:], "left": np.s_[:, :3], "right": np.s_[:, 3:]}[side]] = True
    return mask


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write images by name, and masks of 0 and 255 by path below the data set."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def save(images: list[str], masks: dict[str, np.ndarray], white: int = 255) -> Path:
        root = tmp_path / "data"
        for number, name in enumerate(images):
            path = root / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), np.uint8)
            Image.fromarray(pixels).save(path)
        for name, mask in masks.items():
            path = root / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((mask * white).astype(np.uint8) if mask.dtype == bool else mask).save(path)
        return root

    return save


def test_overlapping_masks_become_one_bit_field_by_hand(write: Write):
    root = write(
        ["images/a", "images/b"],
        {
            "masks/crack/a": half("top"),
            "masks/rust/a": half("left"),
            "masks/ignore/a": half("right") & half("bottom"),
            "masks/rust/b": half("right"),
        },
    )
    dataset = open_dataset(Data(), root)
    assert (dataset.multilabel, dataset.classes, dataset.problems) == (True, ("crack", "rust"), ())
    a, b = sorted((s for samples in dataset.splits.values() for s in samples), key=lambda s: s.id)
    _, labels = read_pair(a, dataset)
    assert labels.dtype == np.int32
    # Upper left: crack (1) and rust (2); upper right: crack; lower left: rust; lower right: ignored.
    assert labels.tolist() == [[3, 3, 3, 1, 1, 1]] * 2 + [[2, 2, 2, *[IGNORE_BIT] * 3]] * 2
    # No file of a class: the class is absent.
    assert b.class_masks[0] is None
    assert read_labels(b, dataset).tolist() == [[0, 0, 0, 2, 2, 2]] * 4


@pytest.mark.parametrize("white", [1, 255])
def test_masks_of_0_and_1_mean_the_same_as_those_of_0_and_255(write: Write, white: int):
    root = write(["images/a"], {"masks/crack/a": half("top"), "masks/rust/a": half("left")}, white)
    dataset = open_dataset(Data(), root)
    (sample,) = dataset.samples("train")
    assert read_labels(sample, dataset)[0, 0] == 3


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["images/train/a", "images/val/b"], ["masks/crack/train/a", "masks/rust/train/a", "masks/rust/val/b"]),
        (["images/train/a", "images/val/b"], ["masks/train/crack/a", "masks/train/rust/a", "masks/val/rust/b"]),
        (["images/train/a", "images/val/b"], ["masks/crack/a", "masks/rust/a", "masks/rust/b"]),
        (["train/images/a", "val/images/b"], ["train/masks/crack/a", "train/masks/rust/a", "val/masks/rust/b"]),
    ],
)
def test_splits_may_come_before_or_after_the_classes_or_in_the_images_only(
    write: Write, images: list[str], masks: list[str]
):
    dataset = open_dataset(Data(), write(images, dict.fromkeys(masks, half("top"))))
    assert dataset.classes == ("crack", "rust")
    held = {
        split: [(s.id, [path is not None for path in s.class_masks]) for s in samples]
        for split, samples in dataset.splits.items()
    }
    assert held == {"train": [("a", [True, True])], "val": [("b", [False, True])]}


def test_an_image_without_any_file_has_no_mask_and_a_mask_without_image_is_named(write: Write):
    root = write(
        ["images/a", "images/b"],
        {"masks/crack/a": half("top"), "masks/rust/a": half("top"), "masks/rust/zebra": half("top")},
    )
    problems = open_dataset(Data(), root).problems
    assert [problem.code for problem in problems] == ["D220", "D220"]
    assert "1 of 2 " in problems[0].message
    assert "b.png" in problems[0].message
    assert "zebra.png" in problems[1].message


def test_dataset_toml_orders_the_classes_and_has_to_name_them_all(write: Write):
    root = write(["images/a"], {"masks/crack/a": half("top"), "masks/rust/a": half("left")})
    description = root / "dataset.toml"
    description.write_text('classes = ["rust", "crack", "dent"]\nmultilabel = true\n')
    dataset = open_dataset(Data(), root)
    (sample,) = dataset.samples("train")
    assert dataset.classes == ("rust", "crack", "dent")
    assert read_labels(sample, dataset)[0].tolist() == [3, 3, 3, 2, 2, 2]
    description.write_text('classes = ["rost", "crack"]\n')
    with pytest.raises(DataError, match=r"'rust'.*'rost'") as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D231"


def test_a_single_folder_is_a_class_only_where_that_is_said(write: Write):
    root = write(["images/a"], {"masks/crack/a": half("top")})
    assert not open_dataset(Data(), root).multilabel
    dataset = open_dataset(Data(multilabel=True), root)
    assert (dataset.multilabel, dataset.classes) == (True, ("crack",))


def test_masks_of_class_ids_are_not_multi_label_even_if_announced(write: Write):
    root = write(["images/a"], {"masks/a": half("top")})
    with pytest.raises(DataError, match="multilabel") as caught:
        open_dataset(Data(multilabel=True), root)
    assert caught.value.code == "D231"


def test_more_classes_than_bits_are_refused(write: Write):
    root = write(["images/a"], {f"masks/c{i:02}/a": half("top") for i in range(31)})
    with pytest.raises(DataError, match=r"\b31 .*\b30\b") as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D231"
    with pytest.raises(RecipeError, match=r"\b30\b"):
        Data(multilabel=True, classes=tuple(f"c{i}" for i in range(31)))


def test_thirty_classes_have_room_beside_the_ignored_bit(write: Write):
    root = write(["images/a"], {f"masks/c{i:02}/a": half("top") for i in range(30)} | {"masks/ignore/a": half("left")})
    dataset = open_dataset(Data(), root)
    labels = read_labels(dataset.samples("train")[0], dataset)
    assert labels[0].tolist() == [*[IGNORE_BIT] * 3, *[IGNORE_BIT - 1] * 3]


def test_settled_data_opens_the_same_way_again(write: Write):
    root = write(["images/a"], {"masks/crack/a": half("top"), "masks/rust/a": half("left")})
    dataset = open_dataset(Data(), root)
    data = settled(Data(), dataset)
    assert (data.multilabel, data.classes, data.label_map) == (True, ("crack", "rust"), None)
    again = open_dataset(data, root)
    assert again == dataset
    assert fingerprint(again) == fingerprint(dataset)


def one(root: Path, data: Data = Data()) -> Dataset:  # noqa: B008 (immutable)
    return open_dataset(data, root)


def test_the_fingerprint_sees_every_mask(write: Write):
    masks = {"masks/crack/a": half("top"), "masks/rust/a": half("left"), "masks/ignore/a": half("left")}
    seen = {fingerprint(one(write(["images/a"], masks)))}
    for name in masks:
        seen.add(fingerprint(one(write(["images/a"], masks | {name: half("bottom")}))))
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("mask", "code", "words"),
    [
        (np.full(SIZE, 7, np.uint8), "D202", r"7 \(24 px\)"),
        (np.array([[0, 1, 255]] * 4, np.uint8).repeat(2, axis=1), "D202", "0 and 255, or 0 and 1"),
        (np.zeros((*SIZE, 3), np.uint8) + np.array([255, 0, 0], np.uint8), "D205", "RGB image"),
        (np.zeros((8, 12), np.uint8), "D201", "enlarged by 2"),
    ],
)
def test_the_audit_names_the_mask_that_is_wrong(write: Write, mask: np.ndarray, code: str, words: str):
    root = write(["images/a"], {"masks/crack/a": half("top"), "masks/rust/a": mask})
    dataset = one(root)
    found = audit(dataset)
    (error,) = found.errors
    assert error.code == code
    assert error.files == ("masks/rust/a.png",)
    with pytest.raises(DataError, match=words):
        read_pair(dataset.samples("train")[0], dataset)


def test_a_threshold_reads_grey_masks_and_a_resize_is_allowed_by_name(write: Write):
    grey = np.where(half("top"), 180, 40).astype(np.uint8)
    root = write(["images/a"], {"masks/crack/a": half("left"), "masks/rust/a": grey.repeat(2, 0).repeat(2, 1)})
    dataset = one(root, Data(mask_threshold=128, mask_resize="nearest"))
    assert not audit(dataset).errors
    assert (
        read_pair(dataset.samples("train")[0], dataset)[1].tolist()
        == [[3, 3, 3, 2, 2, 2]] * 2 + [[1, 1, 1, 0, 0, 0]] * 2
    )


def test_the_audit_counts_every_class_of_a_pixel(write: Write):
    masks = {"masks/crack/a": half("top"), "masks/rust/a": half("left"), "masks/ignore/a": half("right") & half("top")}
    found = audit(one(write(["images/a"], masks)))
    counts = found.statistics["train"]
    # 12 pixels of crack, of which 6 are ignored; 12 of rust; 24 - 6 count at all.
    assert (counts.pixels, counts.void_pixels, counts.labelled_pixels) == ((6, 12), 6, 18)
    assert (counts.images_with_class, counts.pixels_of_images_with_class) == ((1, 1), (24, 24))
    assert found.multilabel


def test_an_audit_is_done_again_after_the_mask_of_one_class_changed(write: Write):
    masks = {"masks/crack/a": half("top"), "masks/rust/a": half("left")}
    assert audit(one(write(["images/a"], masks))).statistics["train"].pixels == (12, 12)
    # Another size of the file, so that the clock's resolution does not matter.
    masks["masks/rust/a"] = np.eye(*SIZE, dtype=bool)
    assert audit(one(write(["images/a"], masks))).statistics["train"].pixels == (12, 4)


def test_positive_weights_are_square_roots_of_negatives_over_positives():
    # 90 without and 10 with: 3. Half and half: 1. None at all, and one of a thousand: the limit.
    assert positive_weights((10, 50, 0, 100), 100) == (3.0, 1.0, 6.0, 1 / 6)
    assert positive_weights((1,), 1000) == (6.0,)


@pytest.mark.parametrize("field", [{"label_map": {"0": 0}}, {"colors": {"#ff0000": 0}}])
def test_fields_of_class_ids_contradict_multi_label_data(field: dict):
    with pytest.raises(RecipeError, match="multilabel"):
        Data(multilabel=True, **field)
