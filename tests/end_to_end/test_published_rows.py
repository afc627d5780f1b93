"""Published rows from end to end on miniatures, one row per distinct pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from network_sizes import parameters

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.schema.recipe import Role, fields_with, to_plain
from pixelwise.recipes.schema.roles import without
from pixelwise.testing.rows import distinct_pipelines, published_rows, try_row

# Rows that are cheap to run and together cover the data sets of all rows.
QUICK = ("enet-camvid", "unetlite-mobilenetv2-ade20k32-512x512", "deeplabv3-mobilenetv2-050-voc")


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("miniatures")


@pytest.mark.parametrize("name", QUICK)
def test_a_row_runs_from_audit_to_result(name: str, miniatures: Path, tmp_path: Path) -> None:
    trial = try_row(name, miniatures, tmp_path / "run")
    assert trial.images > 0
    assert (tmp_path / "run" / "evaluations" / f"{_split(name)}-{trial.protocol}" / "result.json").is_file()


def without_numbers(value: Any) -> Any:
    """A recipe's pipeline but for the network and all numbers, as a key."""
    match value:
        case dict():
            return tuple((key, without_numbers(item)) for key, item in sorted(value.items()) if key != "model")
        case list() | tuple():
            return tuple(map(without_numbers, value))
        case int() | float() if not isinstance(value, bool):
            return "a number"
    return value


def pipelines() -> list[Any]:
    """All: the first, and cheapest, of those that differ in numbers alone is heavy, unless it is tried always."""
    ignored = fields_with(Role.NAME, Role.TEXT, Role.CLAIM, Role.START)
    found = []
    seen = {without_numbers(without(to_plain(recipe(name)), ignored)) for name in QUICK}
    for name in sorted(distinct_pipelines(), key=parameters):
        kind = without_numbers(without(to_plain(recipe(name)), ignored))
        found.append(pytest.param(name, marks=pytest.mark.fuzz if kind in seen else pytest.mark.heavy))
        seen.add(kind)
    return found


@pytest.mark.parametrize("name", pipelines())
def test_a_row_of_each_pipeline_runs_from_audit_to_result(name: str, miniatures: Path, tmp_path: Path) -> None:
    assert try_row(name, miniatures, tmp_path / "run").images > 0


def test_every_row_shares_a_pipeline_with_one_that_is_tried() -> None:
    tried = [name for names in distinct_pipelines().values() for name in names.split(", ")]
    assert sorted(tried) == sorted(published_rows())


def _split(name: str) -> str:
    return "test" if name == "enet-camvid" else "val"
