import pytest

from pixelwise.datasets.shards.foreign.fields import Chosen, Fields, choose
from pixelwise.errors import DataError


def chosen(found: dict[str, int], together: int = 0, *, labelled: bool = True, **asked: str) -> Chosen:
    return choose(found, together, Fields(**asked), where="photos", what="columns", labelled=labelled)


@pytest.mark.parametrize(
    ("found", "together", "expected"),
    [
        ({"jpg": 9, "mask": 9}, 0, (("jpg",), "mask")),
        ({"jpg": 9, "png": 9}, 9, (("jpg",), "png")),
        ({"jpg": 4, "png": 5, "seg": 9}, 0, (("jpg", "png"), "seg")),
        ({"image": 9, "annotation": 9}, 0, (("image",), "annotation")),
        ({"pixel_values": 9, "label": 9}, 0, (("pixel_values",), "label")),
        ({"image": 9, "segmentation_mask": 9, "depth": 9}, 0, (("image",), "segmentation_mask")),
        ({"left": 9, "label": 9}, 0, (("left",), "label")),
    ],
)
def test_names_tell_images_and_masks(found: dict[str, int], together: int, expected: Chosen):
    assert chosen(found, together) == expected


@pytest.mark.parametrize(
    ("found", "together", "option"),
    [
        ({"jpg": 9, "mask": 9, "seg": 9}, 0, "mask"),
        ({"jpg": 9}, 0, "mask"),
        ({"jpg": 9, "depth": 9}, 0, "mask"),
        ({"jpg": 9, "png": 9}, 1, "mask"),
        ({"jpg": 9, "png": 9, "mask": 9}, 9, "image"),
        ({"image": 9, "photo": 9, "mask": 9}, 0, "image"),
        ({"left": 9, "right": 9, "mask": 9}, 0, "image"),
        ({}, 0, "image"),
    ],
)
def test_what_is_not_clear_is_asked(found: dict[str, int], together: int, option: str):
    with pytest.raises(DataError) as caught:
        chosen(found, together)
    assert caught.value.code == "D274"
    assert f"data.{option}_field=" in caught.value.help


def test_the_answer_decides():
    several = {"jpg": 9, "png": 9, "mask": 9, "seg": 9}
    assert chosen(several, 9, image="png", mask="seg") == (("png",), "seg")
    assert chosen({"image": 9, "depth": 9}, mask="depth") == (("image",), "depth")
    with pytest.raises(DataError, match="did you mean 'seg'") as caught:
        chosen(several, mask="segm")
    assert caught.value.code == "D274"


def test_nothing_is_asked_about_masks_that_nobody_wants():
    assert chosen({"jpg": 9, "mask": 9, "seg": 9}, labelled=False) == (("jpg",), None)
    assert chosen({"jpg": 9}, labelled=False, mask="absent") == (("jpg",), None)
