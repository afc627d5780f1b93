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
        ((40, 30), (30, 40), 6, "apply", "ignore"),
        ((30, 40), (40, 30), 8, "ignore", "apply"),
        # The sizes agree; the photo is only mirrored or upside down; the sizes differ otherwise; it is a square.
        ((40, 30), (40, 30), 6, "apply", None),
        ((40, 30), (30, 40), 3, "apply", None),
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
        assert (error.code, error.help) == ("D110", f"set data.exif={instead}")
        assert "mask.png" in error.message


def test_labels_of_the_right_size_are_not_copied():
    labels = np.zeros((2, 3), np.uint8)
    assert fit_labels(labels, (2, 3), None, Reading()) is labels
    assert fit_labels(labels, None, None, Reading()) is labels


def test_nearest_takes_the_pixel_under_each_centre():
    labels = np.array([[1, 2, 3, 4]], np.uint8)
    reading = Reading(mask_resize="nearest")
    # Centres of the two new pixels are at 1.0 and 3.0 of the old four: the second and the fourth one.
    assert fit_labels(labels, (1, 2), None, reading).tolist() == [[2, 4]]
    assert fit_labels(labels, (2, 8), None, reading).tolist() == [[1, 1, 2, 2, 3, 3, 4, 4]] * 2


@pytest.mark.parametrize(
    ("image", "mask", "words"),
    [((4, 6), (2, 3), "2 times smaller"), ((2, 3), (6, 9), "3 times larger"), ((4, 6), (2, 4), "ratios 2 and 1.5")],
)
def test_sizes_are_compared_in_words(image: tuple[int, int], mask: tuple[int, int], words: str):
    with pytest.raises(DataError, match=words) as caught:
        fit_labels(np.zeros(mask, np.uint8), image, Path("mask.png"), Reading())
    assert caught.value.code == "D201"
