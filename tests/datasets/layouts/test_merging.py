from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.layouts.merging import merged
from pixelwise.datasets.layouts.outlines import Broken, Picture, Read, Shape, Unused, draw, polygon
from pixelwise.errors import DataError

FILE = Path("all.json")
SQUARE = polygon("crack", (0, 0, 2, 0, 2, 2, 0, 2))
OTHER = polygon("rust", (0, 0, 2, 0, 2, 2, 0, 2))


def picture(
    name: str, *shapes: Shape, split: str | None = None, size: tuple[int, int] | None = None, file: Path = FILE
) -> Picture:
    return Picture(split, name, Path(f"{name}.png"), size, shapes, file)


def drawn(*read: Read) -> dict[tuple[str | None, str], list[str]]:
    """Split and image -> the labels of its shapes."""
    return {(p.split, p.key): [s.label for s in p.shapes] for p in merged(read) if isinstance(p, Picture)}


def test_objects_of_one_image_are_joined_in_their_order():
    assert drawn(picture("a", SQUARE), picture("b", OTHER), picture("a", OTHER)) == {
        (None, "a"): ["crack", "rust"],
        (None, "b"): ["rust"],
    }


def test_an_object_that_is_given_twice_is_one():
    again = polygon("crack", (0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0))
    unknown = Shape("crack", lambda height, width: np.ones((height, width), bool))
    assert drawn(picture("a", SQUARE, unknown), picture("a", again, OTHER, unknown)) == {
        (None, "a"): ["crack", "crack", "rust", "crack"]
    }


def test_an_image_in_two_splits_has_all_objects_in_both_and_none_outside():
    found = drawn(picture("a", SQUARE), picture("a", OTHER, split="train"), picture("a", split="val"))
    assert found == {("train", "a"): ["crack", "rust"], ("val", "a"): ["crack", "rust"]}


def test_a_size_that_only_one_annotation_gives_counts():
    (one,) = merged([picture("a", SQUARE), picture("a", OTHER, size=(4, 5))])
    assert isinstance(one, Picture)
    assert one.size == (4, 5)


def test_contradicting_sizes_leave_the_image_out():
    (broken,) = merged([picture("a", size=(4, 5)), picture("a", size=(5, 4), file=Path("more.json"))])
    assert isinstance(broken, Broken)
    assert (broken.file, "5x4 and 4x5 (WxH)" in broken.reason) == (Path("more.json"), True)


def test_an_image_with_an_annotation_that_cannot_be_used_is_left_out():
    other = Unused(FILE, "something else")
    bad = Broken(FILE, "a polygon has 1 value", Path("a.png"))
    assert list(merged([picture("a", SQUARE), other, bad, Broken(FILE, "no image")])) == [
        other,
        bad,
        Broken(FILE, "no image"),
    ]


@pytest.mark.usefixtures("own_cache")
def test_what_is_not_merged_is_not_drawn(tmp_path: Path):
    pictures = [picture("a", SQUARE), picture("a", OTHER, file=Path("more.json"))]
    with pytest.raises(DataError, match=r"D232.*a\.png.*all\.json and more\.json"):
        draw("coco", tmp_path, [], lambda: pictures)
