import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.tolerance import snap_colors, snap_ids

TABLE = LabelTable(ids={0: 0, 80: 1, 160: 2, 255: 255})


def rows(*values: int, times: int = 7) -> np.ndarray:
    return np.tile(np.array(values, np.uint8), (times, 1))


def test_a_value_beside_an_area_takes_its_class():
    labels, unknown = snap_ids(rows(0, 0, 0, 20, 60, 80, 80, 80), TABLE, 39)
    assert labels[3].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert unknown == {}


def test_a_border_that_passes_a_third_value_is_ignored_there():
    # From 0 to 160: 80 is the value of class 1, which is nowhere near.
    labels, _ = snap_ids(rows(0, 0, 0, 40, 80, 120, 160, 160, 160), TABLE, 39)
    assert labels[3].tolist() == [0, 0, 0, 255, 255, 255, 2, 2, 2]
    labels, _ = snap_ids(rows(0, 0, 0, 53, 107, 160, 160, 160), TABLE, 39)
    assert labels[3].tolist() == [0, 0, 0, 255, 255, 2, 2, 2]


def test_a_thin_class_keeps_its_exact_pixels():
    labels, _ = snap_ids(rows(0, 0, 0, 160, 0, 0, 0), TABLE, 39)
    assert labels[3].tolist() == [0, 0, 0, 2, 0, 0, 0]


def test_values_that_cover_areas_are_never_dropped():
    mask = rows(0, 0, 0, 0, 120, 120, 120, 120)
    labels, unknown = snap_ids(mask, TABLE, 39)
    assert unknown == {120: 28}
    assert labels[3].tolist() == [0] * 4 + [255] * 4


def test_every_integer_type_is_read_alike():
    mask = rows(0, 0, 0, 20, 60, 80, 80, 80)
    expected = snap_ids(mask, TABLE, 39)[0]
    for dtype in (np.uint16, np.int16, np.int32, np.int64):
        assert np.array_equal(snap_ids(mask.astype(dtype), TABLE, 39)[0], expected)
    wide = mask.astype(np.int64)
    wide[3, 3] = -9_999_999
    assert snap_ids(wide, TABLE, 39)[0][3, 3] == 255


def test_the_ends_of_64_bits_are_near_to_nothing_but_themselves():
    smallest, largest = -(2**63), 2**64 - 1
    table = LabelTable(ids={0: 0, largest: 1})
    mask = np.zeros((7, 8), np.uint64)
    mask[:, 4:] = largest
    mask[3, 3] = largest - 5  # nearer to 0 if it wrapped around
    labels, unknown = snap_ids(mask, table, 39)
    assert labels[3].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert unknown == {}
    assert snap_ids(np.full((7, 8), largest, np.uint64), TABLE, 39)[1] == {largest: 56}
    table = LabelTable(ids={0: 0, 5: 2, smallest: 1})
    signed = np.zeros((7, 8), np.int64)
    signed[:, 4:] = smallest
    assert snap_ids(signed, table, 2)[0][3].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert snap_ids(np.full((7, 8), 2**63 - 1), table, 2)[1] == {2**63 - 1: 56}


def test_colours_are_near_by_their_largest_channel():
    table = LabelTable(colors={"#000000": 0, "#c80000": 1})
    mask = np.zeros((7, 8, 3), np.uint8)
    mask[:, 4:] = (200, 0, 0)
    mask[3, 1] = (20, 20, 20)
    mask[3, 6] = (190, 9, 4)
    mask[5, 2] = (0, 250, 0)
    labels, unknown = snap_colors(mask, table, 30)
    assert labels[3].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert labels[5, 2] == 255  # one pixel of a colour that is near to nothing
    assert unknown == {}
    mask[:, 4:] = (0, 0, 250)
    assert snap_colors(mask, table, 30)[1] == {0x0000FA: 28}


@settings(max_examples=25, deadline=None)
@given(
    step=st.integers(20, 60),
    angle=st.floats(0, 3.2),
    offset=st.integers(-8, 8),
    method=st.sampled_from([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]),
    size=st.integers(60, 150),
)
def test_interpolated_borders_are_right_or_ignored(
    step: int, angle: float, offset: int, method: Image.Resampling, size: int
):
    """Three half planes at any angle: a label read afterwards is that of the mask before, up to one pixel."""
    y, x = np.mgrid[:72, :72] - 36.0
    along = x * np.cos(angle) + y * np.sin(angle) + offset
    truth = np.select([along < -10, along < 10], [2, 0], 1).astype(np.uint8)
    picture = Image.fromarray(truth * np.uint8(step)).resize((size, size), method)
    mask = np.asarray(picture)
    table = LabelTable(ids={0: 0, step: 1, 2 * step: 2})
    labels, unknown = snap_ids(mask, table, (step - 1) // 2)
    assert unknown == {}
    # The class of every pixel in the original coordinates, and of those within one and a half pixels.
    centres = (np.arange(size) + 0.5) * 72 / size - 36.5
    exact = np.add.outer(centres * np.sin(angle), centres * np.cos(angle)) + offset
    reach = 1.5 * max(1, 72 / size)
    for class_id, low, high in ((2, -99.0, -10.0), (0, -10.0, 10.0), (1, 10.0, 99.0)):
        wrong = (labels == class_id) & ((exact < low - reach) | (exact > high + reach))
        assert not wrong.any()
    assert (labels == 255).mean() < 0.2
