"""The reference of recipes holds every field, and is that of the code."""

from __future__ import annotations

import re

from reports.write_recipe_fields import PAGE

from pixelwise.recipes.fields import FAMILY, fields_of
from pixelwise.recipes.schema.terms import TERMS
from pixelwise.reports.recipe_fields import recipe_fields_page


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_page_is_that_of_the_code():
    assert PAGE.read_text("utf-8") == recipe_fields_page(), "run: python tests/reports/write_recipe_fields.py"


def test_every_field_has_a_row_with_a_meaning():
    shown = {row[0].strip("`") for row in rows()}
    # Sections that are lists have rows for the fields of an entry.
    expected = {one.path for one in fields_of()} - {FAMILY, "loss.terms"}
    assert expected - shown == set()
    assert "optimizer.groups.warmup_after" in shown
    assert "loss.terms.boundary_aware.threshold" in shown
    assert all(len(row) == 6 for row in rows())
    assert [row[0] for row in rows() if not row[5]] == []


def test_a_row_says_unit_range_and_default():
    found = {row[0].strip("`"): row[1:5] for row in rows()}
    assert found["augment.rotate"] == ["a number", "degrees", "0 to 180", "0.0"]
    assert found["schedule.warmup_iterations"] == ["a whole number", "steps", "0 or more", "0"]
    assert found["optimizer.lr"] == ["a number", "", "more than 0", "every recipe sets it"]
    assert found["optimizer.kind"] == ["sgd, adam or adamw", "", "", "adamw"]
    assert found["data.classes"][3] == "not set"


def test_terms_of_pixelwise_are_there():
    shown = {row[0].strip("`").split(".")[2] for row in rows() if row[0].startswith("`loss.terms.")}
    assert shown == {name for name in TERMS.own() if name.startswith("boundary_")}
