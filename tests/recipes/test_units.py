"""Units of fields, compared with what their descriptions say."""

import re

import pytest

from pixelwise.recipes.fields import fields_of
from pixelwise.recipes.units import unit_of


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("schedule.warmup_iterations", "steps"),
        ("schedule.step_epochs", "epochs"),
        ("augment.rotate", "degrees"),
        ("augment.rotate_probability", "probability"),
        ("augment.rotate_label", ""),
        ("data.channels", ""),
        ("model.decoder_channels", "channels"),
        ("evaluation.input_size", "pixels"),
        ("loss.terms.boundary.width", "pixels"),
        ("checkpoints.every_minutes", "minutes"),
        ("optimizer.lr", ""),
    ],
)
def test_numbers_have_units(path: str, unit: str):
    assert unit_of(path) == unit


def test_units_that_descriptions_name_are_those():
    said = {"degrees": "degrees", "pixels": "pixels", "percentage points": "percentage points", "minutes": "minutes"}
    told = {one.path: one.text for one in fields_of() if any(kind in str(one.kind) for kind in ("int", "float"))}
    wrong = {
        path: unit_of(path)
        for path, text in told.items()
        for word, unit in said.items()
        if re.search(rf"\bin {word}\b", text) and unit_of(path) != unit
    }
    assert wrong == {}
