from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.errors import CheckpointError
from pixelwise.records.folds.division import DIVISION, HELD_OUT, Division, division_of, write_division

WRITTEN = Division(learned={"train": ("a", "b"), "val": ("c",)}, held_out=("d",))


def test_a_run_and_its_stages_have_the_division_that_was_written(tmp_path: Path):
    write_division(tmp_path / "run", WRITTEN)
    assert division_of(tmp_path / "run") == WRITTEN
    assert division_of(tmp_path / "run" / "stages" / "encoder") == WRITTEN
    assert WRITTEN.splits == {"train": ("a", "b"), "val": ("c",), HELD_OUT: ("d",)}


def test_a_run_without_the_file_has_the_splits_of_its_data(tmp_path: Path):
    assert division_of(tmp_path) is None
    assert division_of(None) is None


@pytest.mark.parametrize("text", ["{", '{"learned": {}}', '{"held_out": [1]}'])
def test_a_damaged_file_is_no_division(tmp_path: Path, text: str):
    (tmp_path / DIVISION).write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=r"division\.json") as caught:
        division_of(tmp_path)
    assert caught.value.code == "K423"
