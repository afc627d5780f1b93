from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from colorspacious import cspace_convert

from pixelwise.recipes.class_sets.palettes import FARTHEST_FIRST, OKABE_ITO, colorblind_palette

VIEWS = ("normal", "protanomaly", "deuteranomaly", "tritanomaly")


@cache
def appearance(view: str) -> np.ndarray:
    """CAM02-UCS coordinates (n, 3) of all our colours as that view sees them."""
    rgb = np.array(OKABE_ITO + FARTHEST_FIRST) / 255
    if view != "normal":
        simulated = {"name": "sRGB1+CVD", "cvd_type": view, "severity": 100}
        rgb = np.clip(cspace_convert(rgb, simulated, "sRGB1"), 0, 1)
    return cspace_convert(rgb, "sRGB1", "CAM02-UCS")


def smallest_distance(num_classes: int, view: str) -> float:
    everything = OKABE_ITO + FARTHEST_FIRST
    chosen = [everything.index(color) for color in colorblind_palette(num_classes)]
    points = appearance(view)[chosen]
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return float(distances[np.triu_indices(num_classes, k=1)].min())


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("num_classes", range(9, 20))
def test_up_to_19_classes_are_12_apart_for_everybody(num_classes: int, view: str) -> None:
    assert smallest_distance(num_classes, view) >= 12


@pytest.mark.parametrize(
    ("num_classes", "least"), [(8, 10.9), (11, 18.0), (19, 13.7), (21, 12.7), (32, 9.0), (150, 3.9)]
)
def test_the_distances_in_the_documentation_are_true(num_classes: int, least: float) -> None:
    worst = min(smallest_distance(num_classes, view) for view in VIEWS)

    assert least <= worst < least + 0.2


def test_few_classes_get_the_colours_of_okabe_and_ito() -> None:
    assert colorblind_palette(3) == ((230, 159, 0), (86, 180, 233), (0, 158, 115))
    assert colorblind_palette(8) == OKABE_ITO


@pytest.mark.parametrize("num_classes", [0, 1, 8, 9, 21, 255])
def test_colours_differ_from_each_other_and_from_black_and_white(num_classes: int) -> None:
    palette = colorblind_palette(num_classes)

    assert len(palette) == num_classes
    assert len({*palette, (0, 0, 0), (255, 255, 255)}) == num_classes + 2


def test_a_class_keeps_its_colour_when_classes_are_added() -> None:
    assert colorblind_palette(12)[:11] == colorblind_palette(11)


@pytest.mark.parametrize("num_classes", [-1, 256])
def test_numbers_of_classes_that_labels_cannot_hold_are_refused(num_classes: int) -> None:
    with pytest.raises(ValueError, match=f"num_classes is {num_classes}; expected 0..255"):
        colorblind_palette(num_classes)
