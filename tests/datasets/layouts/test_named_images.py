from pathlib import Path

import pytest

from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.named_images import NamedImages, file_name

ROOT = Path("data")
ENTRIES = [Entry(name, ROOT / name) for name in ("a.jpg", "train/b.png", "train/c.png", "val/c.png")]


def test_an_image_is_found_at_the_first_place_that_has_one():
    images = NamedImages(ENTRIES)
    assert images.at(ROOT / "b.png", ROOT / "train" / "b.png", ROOT / "a.jpg") == ENTRIES[1]
    assert images.at(ROOT / "b.png") is None
    assert images.at() is None


def test_a_name_that_one_image_has_is_enough():
    images = NamedImages(ENTRIES)
    assert images.only("b.png") == ENTRIES[1]
    assert images.only(r"C:\elsewhere\b.png") == ENTRIES[1]
    assert images.only("c.png") is None
    assert images.called("somewhere/c.png") == ENTRIES[2:]
    assert images.called("d.png") == []


def test_the_reason_why_none_was_found_counts_images_of_the_same_name():
    images = NamedImages(ENTRIES)
    assert "2" in images.absence("x/c.png")
    assert "2" not in images.absence("d.png")


def test_what_counts_of_a_path_may_be_its_stem():
    images = NamedImages([*ENTRIES, Entry("a.png", ROOT / "a.png")], lambda path: path.with_suffix(""))
    assert images.at(ROOT / "a.json") == ENTRIES[0]
    assert images.only("b") == ENTRIES[1]
    assert images.only("a") is None


def test_a_name_that_no_file_can_have_is_no_image(tmp_path: Path):
    images = NamedImages([Entry("a.jpg", tmp_path / "a.jpg")], Path.resolve)
    assert images.at(tmp_path / "a\0.jpg", tmp_path / "b" / ".." / "a.jpg") is not None


@pytest.mark.parametrize("path", ["c.png", "/a/b/c.png", r"a\b\c.png", r"a/b\c.png"])
def test_the_last_part_of_a_path(path: str):
    assert file_name(path) == "c.png"
