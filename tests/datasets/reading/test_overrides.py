"""Settings for reading images that a call changes."""

from __future__ import annotations

import pytest

from pixelwise.datasets.reading.overrides import FIELDS, overridden
from pixelwise.datasets.samples import Reading
from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.recipe import Data

VALUES = {
    "exif": ("ignore", "ignore"),
    "alpha": ("black", "black"),
    "input_range": ("[0, 65535]", (0, 65535)),
    "max_pixels": ("12", 12),
    "channels": ("[3, 2, 1]", (3, 2, 1)),
}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_can_be_changed(field):
    text, value = VALUES[field]
    changed = overridden(Reading(), [f"data.{field}={text}"], 3)

    assert getattr(changed, field) == value
    assert {name for name in Reading.__struct_fields__ if getattr(changed, name) != getattr(Reading(), name)} == {field}


def test_none_restores_the_default_and_others_stay():
    before = Reading(input_range=(0, 3000), exif="ignore")

    assert overridden(before, ["data.input_range=none"], 3) == Reading(exif="ignore")


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("data.label_map={0=1}", "R285"),
        ("data.mask_resize=nearest", "R285"),
        ("optimizer.lr=1", "R285"),
        ("data.exif", "R201"),
        ("data.exif=turn", "R203"),
        ("data.input_range=[9, 1]", "R203"),
        ("data.max_pixels=many", "R203"),
        ("data.channels=[0, 1]", "R203"),
    ],
)
def test_what_cannot_be_changed_is_refused(override, code):
    with pytest.raises(RecipeError) as caught:
        overridden(Reading(), [override], 3)

    assert caught.value.code == code


def test_the_fields_are_those_of_a_recipe_and_of_reading():
    assert set(FIELDS) <= set(Data.__struct_fields__) & set(Reading.__struct_fields__)
