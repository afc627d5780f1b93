import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.classes.resampling import (
    Disturbed,
    color_distance,
    disturbed_colors,
    disturbed_ids,
    remedy,
    tolerance_between,
    with_ramps,
)
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.areas import Areas, measure
from pixelwise.datasets.town.scenes import draw_scene


def blocks(*values: int) -> np.ndarray:
    """A mask of 60x60 with a square of each value in a row of its own, on the first one."""
    mask = np.full((60, 60), values[0], np.uint8)
    for index, value in enumerate(values[1:]):
        mask[5 + 18 * index : 18 + 18 * index, 8:50] = value
    return mask


def enlarged(mask: np.ndarray, method: Image.Resampling) -> Areas:
    return measure(np.asarray(Image.fromarray(mask).resize((131, 117), method)))


@pytest.mark.parametrize("method", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
def test_interpolated_ids_are_found_with_their_real_values(method: Image.Resampling):
    found = disturbed_ids([enlarged(blocks(0, 80, 160), method)] * 3)
    assert found is not None
    assert found.real == (0, 80, 160)
    assert found.others >= 4
    assert found.tolerance == 39
    assert found.masks == (0, 1, 2)


def test_masks_as_they_were_drawn_are_not_disturbed():
    assert disturbed_ids([enlarged(blocks(0, 80, 160), Image.Resampling.NEAREST)]) is None
    assert disturbed_ids([measure(blocks(0, 80, 160, 255))]) is None
    thin = blocks(0, 80, 160)
    thin[::6, 3] = 40
    thin[::6, 5] = 120
    thin[40, ::7] = 200
    assert disturbed_ids([measure(thin)]) is None


def test_only_the_masks_that_hold_other_values_are_named():
    good = measure(blocks(0, 80, 160))
    found = disturbed_ids([good, enlarged(blocks(0, 80, 160), Image.Resampling.BILINEAR), good])
    assert found is not None
    assert found.masks == (1,)


def test_ids_without_gaps_change_gradually_at_borders():
    masks = [measure(blocks(0, 3, 6)), enlarged(blocks(0, 3, 6), Image.Resampling.BILINEAR)]
    assert with_ramps(masks) == [1]
    assert disturbed_ids([enlarged(blocks(0, 1, 2), Image.Resampling.BILINEAR)]) is None


@pytest.mark.parametrize("size", [(24, 32), (48, 64), (96, 128)])
def test_small_scenes_of_many_thin_objects_are_told_from_resized_ones(size: tuple[int, int]):
    raw = [draw_scene(0, index, size)[1] for index in range(6)]
    double = [draw_scene(0, index, (2 * size[0], 2 * size[1]))[1] for index in range(6)]
    resized = [
        np.asarray(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.BILINEAR)) for mask in double
    ]
    assert with_ramps([measure(mask) for mask in raw]) == []
    assert with_ramps([measure(mask) for mask in resized]) == [0, 1, 2, 3, 4, 5]


def test_photos_are_no_disturbed_masks():
    rng = np.random.default_rng(0)
    assert disturbed_colors([measure(rng.integers(0, 256, (60, 60, 3), np.uint8))]) is None
    smooth = np.linspace(0, 255, 60 * 60 * 3).reshape(60, 60, 3).astype(np.uint8)
    assert disturbed_colors([measure(smooth)]) is None


@pytest.mark.parametrize(
    ("real", "table", "expected"),
    [
        ((0, 80, 160), None, "'data.label_map={0 = 0, 80 = 1, 160 = 2}' data.mask_tolerance=39"),
        ((0, 80, 160), LabelTable(ids={0: 0, 80: 2, 160: 1, 255: 255}), "add data.mask_tolerance=39"),
        ((0, 80, 160), LabelTable(ids={0: 0, 1: 1, 2: 2}), "'data.label_map={0 = 0, 80 = 1, 160 = 2}'"),
        ((0, 255), None, "data.mask_threshold=128"),
        ((0, 9), None, "data.mask_threshold=5"),
    ],
)
def test_the_remedy_reads_the_real_values(real: tuple[int, ...], table: LabelTable | None, expected: str):
    assert expected in remedy(Disturbed(real, 9, 0.1, tolerance_between(real), (0,)), table)


def test_values_too_near_to_one_another_have_no_remedy_but_another_export():
    assert "data." not in remedy(Disturbed((0, 1, 2), 9, 0.1, tolerance_between((0, 1, 2)), (0,)))
    table = LabelTable(ids={i: i for i in range(200)})
    assert "data." not in remedy(Disturbed((0, 80, 160), 9, 0.1, 39, (0,)), table)


def test_the_tolerance_leads_to_one_value_only():
    assert tolerance_between((0, 80, 160, 255)) == 39
    assert tolerance_between((0, 7)) == 3
    assert tolerance_between((5,)) == 0
    assert tolerance_between((0, 1000)) == 127
    assert color_distance(0x804080, 0x000000) == 128
    assert tolerance_between((0x000000, 0x804080), colors=True) == 63


def test_evenly_spaced_classes_without_an_area_are_completed():
    mask = np.zeros((90, 90), np.uint8)
    for index, value in enumerate((20, 60, 80, 100)):
        mask[20 * index + 2 : 20 * index + 18, 5:60] = value
    mask[5:85, 70:72] = 40  # a pole
    found = disturbed_ids([enlarged(mask, Image.Resampling.BILINEAR)])
    assert found is not None
    assert found.real == (0, 20, 40, 60, 80, 100)
    assert found.tolerance == 9
