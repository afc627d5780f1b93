from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused, refuses

from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.schema.augment import Augment

CROP = (32, 48)


def cropped(**fields: Any) -> Augment:
    """A section with a crop, so that everything else may be set."""
    return Augment(**{"crop": CROP, **fields})


# Field: what is accepted, up to the ends; what is refused, just beyond them.
LIMITS: dict[str, tuple[list[Any], list[Any]]] = {
    **dict.fromkeys(
        ("class_crop", "flip", "scale_probability", "rotate_probability", "mix_probability"),
        ([0, 0.5, 1], [-0.01, 1.01, math.nan]),
    ),
    **dict.fromkeys(
        ("brightness", "contrast", "saturation", "channel_gain", "aspect"), ([0, 0.99], [-0.01, 1, 1.5, math.nan])
    ),
    "hue": ([0, 0.5], [-0.01, 0.51]),
    "rotate": ([0, 180], [-1, 181]),
    "brightness_shift": ([0, 255], [-1, 256]),
    "translate": ([0, 1000], [-1]),
    "max_class_share": ([None, 0.01, 1], [0, -0.5, 1.01]),
    "scale_step": ([0.01, 3], [0, -0.25]),
    "scale": ([None, (1, 1), (0.5, 2), (0.01, 0.02)], [(0, 1), (-1, 1), (2, 1)]),
    **dict.fromkeys(("resize", "fit", "crop"), ([(1, 1), (7, 2000)], [(0, 5), (5, 0), (-3, 4)])),
}


@pytest.mark.parametrize("field", LIMITS)
def test_values_are_accepted_up_to_the_ends_of_their_range(field: str):
    good, bad = LIMITS[field]
    for value in good:
        assert getattr(cropped(**{field: value}), field) == value
    for value in bad:
        refuses(cropped, field, value, name=f"augment.{field}")


@pytest.mark.heavy
@given(hue=st.floats(-1, 1))
def test_a_hue_turns_by_half_a_circle_at_most(hue: float):
    if 0 <= hue <= 0.5:
        assert Augment(hue=hue).hue == hue
    else:
        refuses(Augment, "hue", hue, name="augment.hue")


def test_by_default_nothing_is_changed():
    plain = Augment()
    assert (plain.resize, plain.fit, plain.scale, plain.crop, plain.max_class_share) == (None,) * 5
    assert (plain.rotate, plain.flip, plain.aspect, plain.class_crop, plain.translate, plain.brightness_shift) == (
        (0,) * 6
    )  # fmt: skip
    assert (plain.photometric, plain.mix) == ("none", "none")
    assert plain.rotate_label == IGNORE == 255


@pytest.mark.parametrize(
    ("field", "value"),
    [("scale", (0.5, 2)), ("aspect", 0.1), ("class_crop", 0.5), ("fit", (64, 96)), ("rotate", 5.0),
     ("max_class_share", 0.75)],
)  # fmt: skip
def test_parts_of_cropping_need_a_crop(field: str, value: Any):
    assert getattr(cropped(**{field: value}), field) == value
    error = refused(Augment, **{field: value})
    assert error.code == "R203"
    assert field in error.message
    assert "augment.crop" in error.message


@pytest.mark.parametrize(
    "fields",
    [{"resize": CROP}, {"flip": 0.5}, {"translate": 2}, {"photometric": "mmseg"}, {"hue": 0.1}, {"mix": "cutmix"},
     {"rotate_probability": 0.5, "scale_probability": 0.5}],
)  # fmt: skip
def test_everything_else_goes_without_a_crop(fields: dict[str, Any]):
    made = Augment(**fields)
    assert {name: getattr(made, name) for name in fields} == fields
    assert made.crop is None


@pytest.mark.parametrize("resampling", ["bilinear", "antialiased", "bicubic", "area"])
def test_corners_have_a_label_of_their_own_where_turning_is_a_step_of_its_own(resampling: Any):
    for label in (0, 254, IGNORE):
        assert cropped(rotate=5.0, rotate_label=label, resampling=resampling).rotate_label == label
    for label in (-1, 256):
        error = refused(cropped, rotate_label=label, resampling=resampling)
        assert error.code == "R203"
        assert f"augment.rotate_label is {label}" in error.message


def test_where_one_map_turns_and_pads_the_corners_are_ignored():
    assert cropped(rotate_label=IGNORE, resampling="warp").rotate_label == IGNORE
    error = refused(cropped, rotate_label=0, resampling="warp")
    assert error.code == "R203"
    assert "augment.rotate_label" in error.message
    assert "augment.resampling=warp" in error.message


@pytest.mark.parametrize("scale", [(0.5, 2), (1, 2), (0.5, 1), (1, 1)])
def test_a_two_sided_zoom_has_two_sides(scale: tuple[float, float]):
    assert cropped(scale=scale, scale_law="two-sided").scale == scale


@pytest.mark.parametrize("scale", [(1.1, 2), (0.5, 0.9)])
def test_a_zoom_with_one_side_needs_another_law(scale: tuple[float, float]):
    error = refused(cropped, scale=scale, scale_law="two-sided")
    assert error.code == "R203"
    assert f"augment.scale is {list(scale)}" in error.message
    assert "augment.scale_law=two-sided" in error.message
    for law in ("log-uniform", "uniform", "reciprocal", "steps"):
        assert cropped(scale=scale, scale_law=law).scale == scale
