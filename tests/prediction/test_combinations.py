import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.prediction.combinations import MOST_COMBINATIONS, blend_classes, indexed, mixed_colors, packed, unpacked
from pixelwise.recipes.class_sets.tables import IGNORE_BIT

PALETTE = ((200, 0, 0), (0, 100, 0), (0, 0, 60))


def test_combinations_are_numbered_no_class_first_and_then_by_frequency():
    truth = np.array([[3, 3, 3, 1], [IGNORE_BIT, 0, 1, 4]], np.int32)
    (values, other), combinations = indexed([truth, np.full((1, 2), 1, np.int32)])
    assert combinations == (0, 1, 3, 4)  # 1 occurs four times, 3 three times
    assert values.tolist() == [[2, 2, 2, 1], [255, 0, 1, 3]]
    assert other.tolist() == [[1, 1]]
    assert values.dtype == np.uint8


@given(st.lists(st.integers(0, (1 << 30) - 1), min_size=1, max_size=50))
def test_an_index_says_which_classes_are_there(bits: list[int]):
    field = np.array([bits], np.int32)
    (values,), combinations = indexed([field])
    assert combinations[0] == 0
    assert [combinations[value] for value in values[0]] == bits


def test_of_too_many_combinations_the_rarest_become_similar_ones():
    field = np.arange(1 << 9, dtype=np.int32).reshape(16, 32)
    (values,), combinations = indexed([field])
    assert len(combinations) == MOST_COMBINATIONS
    shown = np.array(combinations)[values]
    differing = [int(a ^ b).bit_count() for a, b in zip(shown.ravel(), field.ravel(), strict=True)]
    assert values.max() < MOST_COMBINATIONS
    assert max(differing) <= 3


def test_overlapping_classes_have_the_mean_of_their_colours():
    assert mixed_colors((0, 1, 3, 7), PALETTE) == ((0, 0, 0), (200, 0, 0), (100, 50, 0), (67, 33, 20))


def test_an_overlay_shows_the_photo_where_no_class_is():
    image = np.full((1, 4, 3), 100, np.uint8)
    bits = np.array([[0, IGNORE_BIT, 1, 3]], np.int32)
    blended = blend_classes(image, bits, PALETTE, 0.5)
    assert blended[0].tolist() == [[100, 100, 100], [100, 100, 100], [150, 50, 50], [100, 75, 50]]
    assert np.array_equal(blend_classes(image, bits, PALETTE, 0.0), image)
    # Bits beyond those that a table is made for.
    high = np.array([[0, 0, 1 << 29, 1]], np.int32)
    colors = (*PALETTE, *[(9, 9, 9)] * 27)
    assert blend_classes(image, high, colors, 1.0)[0].tolist() == [[100] * 3, [100] * 3, [9] * 3, [200, 0, 0]]


@given(st.integers(1, 30), st.integers(0, 50))
def test_planes_and_bit_fields_are_the_same(classes: int, seed: int):
    planes = np.random.default_rng(seed).integers(0, 2, (classes, 3, 4)).astype(np.uint8)
    assert np.array_equal(unpacked(packed(planes), classes), planes)
