from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.reading.regions.images import Region
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.prediction.large.blocks import Block
from pixelwise.prediction.large.scaled import ScaledImage
from pixelwise.prediction.sizes import floor_index
from pixelwise.transforms.resizing import resize_image


def image_of(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)


def reader(image: np.ndarray, missing: np.ndarray | None = None):
    def read(where: Rectangle) -> Region:
        assert min(where) >= 0
        assert where.bottom <= image.shape[0]
        assert where.right <= image.shape[1]
        rows, columns = slice(where.top, where.bottom), slice(where.left, where.right)
        return Region(image[rows, columns], None if missing is None else missing[rows, columns])

    return read


def places(size: tuple[int, int], cut: tuple[int, int]) -> list[Rectangle]:
    return [
        Rectangle(top, left, min(cut[0], size[0] - top), min(cut[1], size[1] - left))
        for top, left in itertools.product(range(0, size[0], cut[0]), range(0, size[1], cut[1]))
    ]


@pytest.mark.parametrize("seen", [(80, 90), (37, 41), (160, 181)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_rectangles_are_those_of_the_image_that_is_resized_whole(seen, channels):
    image = image_of(160, 181, channels)
    scaled = ScaledImage(reader(image), (160, 181), seen, "antialiased")
    whole = resize_image(image, seen).astype(int)

    for where in places(seen, (23, 31)):
        found = scaled.read(where).pixels
        assert np.abs(found - whole[where.top : where.bottom, where.left : where.right]).max() <= 1


def test_the_mean_of_whole_pixels_by_hand():
    image = image_of(60, 60)
    scaled = ScaledImage(reader(image), (60, 60), (20, 20), "area")

    found = scaled.read(Rectangle(4, 5, 3, 2)).pixels

    expected = image.reshape(20, 3, 20, 3, 3).mean((1, 3))[4:7, 5:7]
    assert np.abs(found - expected).max() <= 1


@pytest.mark.heavy
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    share=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
    cut=st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_enlarged_blocks_cover_the_image_and_show_the_nearest_class(size, share, cut):
    seen = (max(1, round(size[0] * share[0])), max(1, round(size[1] * share[1])))
    image, labels = image_of(*size), np.random.default_rng(1).integers(0, 9, seen).astype(np.uint8)
    scaled = ScaledImage(reader(image), size, seen, "antialiased")
    found, count = np.zeros(size, np.uint8), np.zeros(size, int)

    for where in places(seen, cut):
        own = labels[where.top : where.bottom, where.left : where.right]
        block = scaled.enlarged(Block(where, own, np.zeros((1, 1, 3), np.uint8)))
        rows, columns = slice(block.where.top, block.where.bottom), slice(block.where.left, block.where.right)
        found[rows, columns], count[rows, columns] = block.labels, count[rows, columns] + 1
        assert np.array_equal(block.pixels, image[rows, columns])

    assert (count == 1).all()
    rows, columns = floor_index(seen[0], size[0]), floor_index(seen[1], size[1])
    assert np.array_equal(found, labels[rows][:, columns])


def test_missing_pixels_are_ignored_where_they_are():
    image, missing = image_of(60, 60), np.zeros((60, 60), bool)
    missing[:30, :33] = True
    scaled = ScaledImage(reader(image, missing), (60, 60), (20, 20), "antialiased")

    gone, part = scaled.read(Rectangle(0, 0, 5, 5)), scaled.read(Rectangle(5, 5, 10, 10))
    block = scaled.enlarged(Block(Rectangle(0, 0, 20, 20), np.zeros((20, 20), np.uint8), image))

    assert gone.missing is not None
    assert gone.missing.all()
    assert part.missing is None
    assert np.array_equal(block.labels == 255, missing)
