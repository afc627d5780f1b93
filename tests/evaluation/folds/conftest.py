"""A run that holds images out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pixelwise.datasets.run_data import open_run_data
from pixelwise.records.folds.division import Division, write_division
from pixelwise.records.run_folder import read_recipe

HELD = ("test/00", "test/01", "test/02")


@pytest.fixture
def fold(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, which holds the images of the test split out."""
    run = tmp_path / "fold-0"
    shutil.copytree(tiny_run, run)
    whole = open_run_data(run, read_recipe(run)).with_all()
    ids = [sample.id for sample in whole.splits["all"]]
    assert set(HELD) <= set(ids)
    learned = tuple(id for id in ids if id not in HELD)
    write_division(run, Division(learned={"train": learned}, held_out=HELD))
    return run
