from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.prediction.large.previews import Preview, middles, reduced_image, reduction


def image_of(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)


def by_hand(image: np.ndarray, factor: int) -> np.ndarray:
    rows = []
    for top in range(0, image.shape[0], factor):
        cells = [image[top : top + factor, left : left + factor] for left in range(0, image.shape[1], factor)]
        rows.append([np.floor(cell.reshape(-1, image.shape[2]).mean(0) + 0.5 + 1e-9) for cell in cells])
    return np.array(rows).astype(np.uint8)


@pytest.mark.heavy
@given(
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    cut=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    most=st.integers(1, 400),
)
def test_parts_of_any_size_give_the_mean_of_the_whole(size, cut, most):
    image = image_of(*size)
    labels = np.random.default_rng(1).integers(0, 250, size).astype(np.uint8)
    preview = Preview(size, 3, most_pixels=most)

    for top in range(0, size[0], cut[0]):
        for left in range(0, size[1], cut[1]):
            part = image[top : top + cut[0], left : left + cut[1]]
            where = Rectangle(top, left, *part.shape[:2])
            preview.add(where, part, labels[top : top + cut[0], left : left + cut[1]])

    assert np.array_equal(preview.image, by_hand(image, preview.factor))
    down, across = middles(size[0], preview.factor), middles(size[1], preview.factor)
    assert np.array_equal(preview.labels, labels[down][:, across])
    assert preview.labels.size <= most


def test_a_part_whose_pixels_are_one_in_memory_is_like_any_other():
    image = np.zeros((40, 50, 3), np.uint8)
    image[5:30, 7:40] = (10, 200, 77)
    previews = [Preview((40, 50), 3, most_pixels=100) for _ in range(2)]
    for preview, one in zip(previews, (image[5:30, 7:40], np.broadcast_to(image[5, 7], (25, 33, 3))), strict=True):
        preview.add(Rectangle(5, 7, 25, 33), one)

    assert np.array_equal(previews[0].image, previews[1].image)
    assert previews[0].image.any()


def test_the_middle_of_four_pixels_is_the_third():
    assert middles(10, 4).tolist() == [2, 6, 9]
    assert middles(3, 1).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("size", "most", "factor"),
    [((100, 100), 10_000, 1), ((100, 100), 9999, 2), ((101, 101), 2601, 2), ((101, 101), 2600, 3),
     ((50_000, 50_000), 1 << 22, 25)],
)  # fmt: skip
def test_sides_are_divided_no_more_than_needed(size, most, factor):
    assert reduction(size, most) == factor


@pytest.mark.parametrize(("channels", "shown"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4)])
def test_the_channels_that_pictures_depend_on_are_kept(channels, shown):
    image = image_of(600, 20, channels)

    assert np.array_equal(reduced_image(image, 4000), by_hand(image[..., :shown], 2))


def test_a_small_image_is_not_changed():
    image = image_of(20, 20)

    assert reduced_image(image, 400) is image
