from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.reading.fitting import fit_labels, rotation_error
from pixelwise.datasets.samples import Reading, Sample
from pixelwise.errors import DataError

SAMPLE = Sample("a", Path("photo.jpg"), Path("mask.png"))


@pytest.mark.parametrize(
    ("image", "mask", "orientation", "exif", "instead"),
    [
        ((40, 30), (30, 40), 6, "apply", "set data.exif=ignore"),
        ((30, 40), (40, 30), 8, "ignore", "set data.exif=apply"),
        # The photo is stored upright or upside down, so the mask was turned.
        ((40, 30), (30, 40), 1, "apply", "turn the mask so"),
        ((40, 30), (40, 30), 6, "apply", None),
        ((40, 30), (30, 40), 3, "ignore", "turn the mask so"),
        # The sizes agree; they differ otherwise; it is a square.
        ((40, 30), (20, 15), 6, "apply", None),
        ((30, 30), (30, 30), 6, "apply", None),
    ],
)
def test_a_turned_photo_is_told_from_another_size(
    image: tuple[int, int], mask: tuple[int, int], orientation: int, exif: str, instead: str | None
):
    error = rotation_error(SAMPLE, image, mask, orientation, Reading(exif=exif))  # type: ignore[arg-type]
    if instead is None:
        assert error is None
    else:
        assert error is not None
        assert error.code == "D110"
        assert error.help.startswith(instead)
        assert "mask.png" in error.message


def test_labels_of_the_right_size_are_not_copied():
    labels = np.zeros((2, 3), np.uint8)
    assert fit_labels(labels, (2, 3), None, Reading()) is labels


def test_nearest_takes_the_pixel_under_each_centre():
    labels = np.array([[1, 2, 3, 4]], np.uint8)
    reading = Reading(mask_resize="nearest")
    # Centres of the two new pixels are at 1.0 and 3.0 of the old four: the second and the fourth one.
    assert fit_labels(labels, (1, 2), None, reading).tolist() == [[2, 4]]
    assert fit_labels(labels, (2, 8), None, reading).tolist() == [[1, 1, 2, 2, 3, 3, 4, 4]] * 2


@pytest.mark.parametrize(
    ("image", "mask", "similar"),
    [
        ((180, 240), (90, 120), True),
        ((180, 240), (45, 60), True),
        ((1080, 1920), (256, 455), True),  # 455.1 rounded
        ((101, 75), (13, 9), True),  # 12.6 and 9.4 rounded
        ((100, 100), (50, 51), True),
        ((100, 100), (100, 103), False),
        ((180, 240), (240, 180), False),
        ((180, 240), (180, 320), False),
        ((300, 400), (200, 300), False),
    ],
)
def test_masks_of_another_shape_are_never_resized(image: tuple[int, int], mask: tuple[int, int], similar: bool):
    labels = np.zeros(mask, np.uint8)
    with pytest.raises(DataError) as caught:
        fit_labels(labels, image, Path("mask.png"), Reading())
    assert ("mask_resize" in caught.value.help) == similar
    if similar:
        assert fit_labels(labels, image, None, Reading(mask_resize="nearest")).shape == image
    else:
        with pytest.raises(DataError, match="ratios"):
            fit_labels(labels, image, Path("mask.png"), Reading(mask_resize="nearest"))


@pytest.mark.parametrize(
    ("image", "mask", "words"),
    [
        ((4, 6), (2, 3), "reduced to 1/2"),
        ((2, 3), (6, 9), "enlarged by 3"),
        ((4, 6), (2, 4), "ratios of width and height 1.5 and 2"),
    ],
)
def test_sizes_are_compared_in_words(image: tuple[int, int], mask: tuple[int, int], words: str):
    with pytest.raises(DataError, match=words) as caught:
        fit_labels(np.zeros(mask, np.uint8), image, Path("mask.png"), Reading())
    assert caught.value.code == "D201"
