from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import to_toml
from pixelwise.records.folds.cross_validation import (
    CrossValidation,
    FoldRuns,
    is_cross_validation,
    read_cross_validation,
    write_cross_validation,
)
from pixelwise.records.run_folder import CROSSVAL, refuse_occupied

ASKED = CrossValidation(name="unet", recipe=to_toml(recipe("unet")), options={"folds": 2}, folds=2, images=9)


def test_what_was_asked_for_is_read_again(tmp_path: Path):
    assert not is_cross_validation(tmp_path)
    refuse_occupied(tmp_path)
    write_cross_validation(tmp_path, ASKED)
    assert is_cross_validation(tmp_path)
    assert read_cross_validation(tmp_path) == ASKED
    assert ASKED.base(tmp_path) == recipe("unet")
    with pytest.raises(RecipeError, match="already holds a cross-validation") as caught:
        refuse_occupied(tmp_path)
    assert caught.value.code == "R213"


def test_folds_that_have_not_begun_have_no_results(tmp_path: Path, tiny_run: Path):
    runs = FoldRuns(tmp_path, ASKED)
    assert runs.names == ["fold-0", "fold-1"]
    assert not runs.is_finished("fold-0")
    assert runs.results("fold-0") is None
    assert FoldRuns(tiny_run.parent, ASKED).is_finished(tiny_run.name)


@pytest.mark.parametrize("text", ["", "{}", '{"folds": 1, "recipe": "x"}', '{"folds": 3}'])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str):
    (tmp_path / CROSSVAL).write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=r"crossval\.json") as caught:
        read_cross_validation(tmp_path)
    assert caught.value.code == "K423"
