import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixelwise.datasets.formats.folder import folder_layout
from pixelwise.datasets.layouts.splits import validation_keys
from pixelwise.errors import DataError

MakeFolder = Callable[..., Path]
MASK = np.zeros((2, 2), np.uint8)


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(MASK).save(path)


def counts(root: Path) -> dict[str, int]:
    layout = folder_layout(root)
    assert layout is not None
    return {split: len(samples) for split, samples in layout.splits.items()}


def test_splits_are_folders_below_images(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "valid/b": MASK, "testing/city/c": MASK})
    layout = folder_layout(root)
    assert layout is not None
    assert {name: [s.id for s in samples] for name, samples in layout.splits.items()} == {
        "train": ["a"],
        "val": ["b"],
        "test": ["city/c"],
    }
    assert layout.description == "images/{split}/ with masks/{split}/"


def test_splits_may_be_the_outer_folders(make_folder: MakeFolder):
    root = make_folder({"a": MASK})
    for split in ("train", "val"):
        (root / split).mkdir()
        for kind in ("images", "masks"):
            (root / split / kind).symlink_to(root / kind)
    for kind in ("images", "masks"):
        (root / kind).rename(root / f"all_{kind}")
        for split in ("train", "val"):
            (root / split / kind).unlink()
            (root / split / kind).symlink_to(root / f"all_{kind}")
    assert counts(root) == {"train": 1, "val": 1}


@pytest.mark.parametrize(
    ("images", "masks"), [("imgs", "labels"), ("JPEGImages", "SegmentationClass"), ("Images", "mask")]
)
def test_other_names_of_the_folders_are_known(make_folder: MakeFolder, images: str, masks: str):
    root = make_folder({"train/a": MASK})
    (root / "images").rename(root / images)
    (root / "masks").rename(root / masks)
    assert counts(root) == {"train": 1}


def test_images_and_masks_may_name_their_splits_differently(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "val/b": MASK})
    (root / "images" / "val").rename(root / "images" / "Validation")
    assert counts(root) == {"train": 1, "val": 1}


def test_images_beside_the_split_folders_are_reported(make_folder: MakeFolder):
    layout = folder_layout(make_folder({"train/a": MASK, "b": MASK}))
    assert layout is not None
    assert [(problem.code, problem.total) for problem in layout.problems] == [("W216", 1)]


def test_a_split_without_a_folder_of_masks_is_only_a_warning(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "test/b": MASK})
    (root / "masks" / "test" / "b.png").unlink()
    (root / "masks" / "test").rmdir()
    layout = folder_layout(root)
    assert layout is not None
    assert [problem.code for problem in layout.problems] == ["W220"]
    assert layout.splits["test"] == ()


def test_without_split_folders_a_fifth_becomes_the_validation_split(make_folder: MakeFolder):
    root = make_folder({f"img{i:03d}": MASK for i in range(60)})
    found = counts(root)
    assert found["train"] + found["val"] == 60
    assert 3 <= found["val"] <= 24
    assert "by file name" in folder_layout(root).in_words  # type: ignore[union-attr]


def test_other_folders_are_no_layout(tmp_path: Path):
    (tmp_path / "images").mkdir()
    assert folder_layout(tmp_path) is None


KEYS = [f"{name}_{i:04d}" for name in "abcdefghijklmnop" for i in range(5)]


def test_a_series_is_never_divided():
    chosen = validation_keys(KEYS)
    assert {key[0] for key in chosen}.isdisjoint({key[0] for key in KEYS if key not in chosen})


def test_frames_of_a_single_series_are_divided_one_by_one():
    keys = [f"frame_{i:05d}" for i in range(500)]
    assert len(validation_keys(keys)) == 100


@given(st.sets(st.text("abc019_-/", min_size=1, max_size=8), min_size=2, max_size=40))
def test_neither_part_is_ever_empty(keys: set[str]):
    chosen = validation_keys(keys)
    assert 0 < len(chosen) < len(keys)


def test_a_single_image_is_for_training():
    assert validation_keys(["a"]) == set()


@pytest.mark.parametrize(
    ("images", "masks"), [("Original", "Ground Truth"), ("input", "target"), ("frames", "gt"), ("raw", "seg")]
)
def test_more_names_of_folders_are_known(make_folder: MakeFolder, images: str, masks: str):
    root = make_folder({f"x{i}": MASK for i in range(10)})
    (root / "images").rename(root / images)
    (root / "masks").rename(root / masks)
    assert sum(counts(root).values()) == 10


@pytest.mark.parametrize(("images", "masks"), [("{}", "{}_masks"), ("{}_images", "{}_labels"), ("{}", "{}annot")])
def test_folders_named_by_split_are_known(make_folder: MakeFolder, images: str, masks: str):
    root = make_folder({"train/a": MASK, "val/b": MASK})
    for split in ("train", "val"):
        (root / "images" / split).rename(root / images.format(split))
        (root / "masks" / split).rename(root / masks.format(split))
    for folder in ("images", "masks"):
        (root / folder).rmdir()
    assert counts(root) == {"train": 1, "val": 1}


def test_a_training_folder_alone_is_divided(make_folder: MakeFolder):
    root = make_folder({f"x{i}": MASK for i in range(10)})
    (root / "images").rename(root / "train")
    (root / "masks").rename(root / "train_masks")
    found = counts(root)
    assert (sum(found.values()), found["val"] > 0) == (10, True)


def side_by_side(make_folder: MakeFolder, *splits: str) -> Path:
    root = make_folder({f"{split}/a": MASK for split in splits})
    for split in splits:
        (root / split).mkdir(parents=True, exist_ok=True)
        (root / "images" / split / "a.png").rename(root / split / "a.jpg")
        (root / "masks" / split / "a.png").rename(root / split / "a_mask.png")
    for folder in ("images", "masks"):
        shutil.rmtree(root / folder)
    return root


def test_images_and_masks_may_lie_side_by_side_with_roboflows_classes(make_folder: MakeFolder):
    root = side_by_side(make_folder, "train", "valid")
    (root / "train" / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, leaf\n")
    layout = folder_layout(root)
    assert layout is not None
    assert {split: len(samples) for split, samples in layout.splits.items()} == {"train": 1, "val": 1}
    assert (layout.classes, layout.label_map, layout.problems) == (("background", "leaf"), {0: 0, 1: 1}, ())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Pixel Value, Class\n1, leaf\nstem\n", None], "train/_classes.csv: line 3 is 'stem,'"),
        (["Pixel Value, Class\n1, leaf\n-2, stem\n", None], "train/_classes.csv: line 3 is '-2,stem'"),
        (["1, leaf\n\n1, stem\n", None], "train/_classes.csv: line 3 calls 1 'stem', elsewhere it is 'leaf'"),
        (["1, leaf\n", "1, stem\n"], "valid/_classes.csv: line 1 calls 1 'stem', elsewhere it is 'leaf'"),
        (["Pixel Value, Class\n\n", None], "train/_classes.csv: names no class"),
        (["", None], "train/_classes.csv: names no class"),
        (["Pixel Value, Class\n", "\n"], "train/_classes.csv: names no class"),
    ],
)
def test_classes_of_roboflow_that_cannot_be_used_are_d233(
    make_folder: MakeFolder, lines: list[str | None], message: str
):
    root = side_by_side(make_folder, "train", "valid")
    for split, text in zip(("train", "valid"), lines, strict=True):
        if text is not None:
            (root / split / "_classes.csv").write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        folder_layout(root)
    assert caught.value.code == "D233"
    assert f"{message}; expected a pixel value and a class, such as '1, road'" in caught.value.message


def test_images_and_masks_of_one_name_are_told_apart_by_their_endings(make_folder: MakeFolder):
    root = make_folder({f"x{i}": MASK for i in range(10)})
    for i in range(10):
        (root / "images" / f"x{i}.png").rename(root / f"x{i}.JPG")
        (root / "masks" / f"x{i}.png").rename(root / f"x{i}.png")
    (root / "images").rmdir()
    (root / "masks").rmdir()
    layout = folder_layout(root)
    assert layout is not None
    samples = [sample for found in layout.splits.values() for sample in found]
    assert {(s.image_path.suffix, s.mask_path.suffix) for s in samples if s.mask_path} == {(".JPG", ".png")}
    assert len(samples) == 10


def test_photos_in_two_formats_are_no_data_set(make_folder: MakeFolder):
    root = make_folder({f"x{i}": MASK for i in range(6)})
    for i in range(6):
        (root / "images" / f"x{i}.png").rename(root / f"x{i}.jpg")
    (root / "masks" / "x0.png").rename(root / "x0.png")
    shutil.rmtree(root / "masks")
    (root / "images").rmdir()
    assert folder_layout(root) is None


def test_masks_may_say_the_splits_of_images_that_lie_together(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "val/b": MASK, "test/c": MASK})
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        (root / "images" / split / f"{name}.png").rename(root / "images" / f"{name}.png")
        (root / "images" / split).rmdir()
    layout = folder_layout(root)
    assert layout is not None
    assert {name: [s.id for s in found] for name, found in layout.splits.items()} == {
        "train": ["a"],
        "val": ["b"],
        "test": ["c"],
    }
    assert (layout.multilabel, layout.problems) == (False, ())


def test_folders_named_by_other_words_are_taken_with_their_splits(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "val/b": MASK})
    (root / "images").rename(root / "img_dir")
    (root / "masks").rename(root / "ann_dir")
    layout = folder_layout(root)
    assert layout is not None
    assert {name: len(found) for name, found in layout.splits.items()} == {"train": 1, "val": 1}
    assert layout.description == "img_dir/{split}/ with ann_dir/{split}/"


def test_splits_further_down_count_where_images_and_masks_lie_side_by_side(make_folder: MakeFolder):
    root = side_by_side(make_folder, "mine/train", "mine/valid")
    assert counts(root) == {"train": 1, "val": 1}


@pytest.mark.parametrize("splits", [("",), ("train/", "val/")])
@pytest.mark.parametrize("other", ["labels", "GT", "SegmentationClass", "annotations"])
def test_a_second_folder_of_masks_is_named_and_read_if_the_first_one_has_another_name(
    make_folder: MakeFolder, splits: tuple[str, ...], other: str
):
    root = make_folder({f"{split}a": MASK for split in splits})
    shutil.copytree(root / "masks", root / other)
    layout = folder_layout(root)
    assert layout is not None
    (said,) = layout.problems
    assert said.code == "W227"
    assert f"{other}/" in said.message
    (root / "masks").rename(root / "old")
    layout = folder_layout(root)
    assert layout is not None
    assert layout.problems == ()
    assert {
        one.mask_path.relative_to(root).parts[0] for found in layout.splits.values() for one in found if one.mask_path
    } == {other}


@pytest.mark.parametrize(
    "other", ["labels/a.txt", "annotations/a.xml", "gt/overview.png", "masks_color/a.png", "label/.a.png"]
)
def test_folders_of_other_things_are_no_second_folder_of_masks(make_folder: MakeFolder, other: str):
    root = make_folder({"a": MASK})
    (root / other).parent.mkdir()
    (root / other).touch()
    layout = folder_layout(root)
    assert layout is not None
    assert layout.problems == ()


@pytest.mark.parametrize("name", ["dev", "fold_1", "valid"])
def test_folders_of_pairs_beside_those_of_the_splits_are_w216(tmp_path: Path, name: str):
    for split in ("train", "val", name):
        for kind in ("images", "masks"):
            save(tmp_path / split / kind / f"{split}.png")
    (tmp_path / "notes").mkdir()
    save(tmp_path / "notes" / "images" / "diagram.png")
    layout = folder_layout(tmp_path)
    assert layout is not None
    used = {sample.id for found in layout.splits.values() for sample in found}
    (left_out,) = {"train", "val", name} - used
    (said,) = layout.problems
    assert (said.code, said.files) == ("W216", (f"{tmp_path}/{left_out}/images/{left_out}.png",))


def test_a_second_folder_of_masks_within_splits_is_named(tmp_path: Path):
    for split in ("train", "val"):
        for kind in ("images", "masks", "labels"):
            save(tmp_path / split / kind / "a.png")
    layout = folder_layout(tmp_path)
    assert layout is not None
    (said,) = layout.problems
    assert said.code == "W227"
    assert "labels/" in said.message
