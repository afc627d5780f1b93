from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.errors import CheckpointError
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.distillation.identity import with_teachers
from tests.plain_recipe import PLAIN


def taught_by(*folders: Path) -> Recipe:
    return apply_overrides(PLAIN, {"distillation.teacher": [str(one) for one in folders]})


def test_a_run_is_found_by_its_path_and_named_by_its_weights(tiny_run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tiny_run.parent)
    found = with_teachers(apply_overrides(PLAIN, [f"teacher={tiny_run.name}"])).distillation
    newest = newest_checkpoint(tiny_run / "checkpoints")
    assert newest is not None
    name = "ema" if newest.has("ema") else "model"
    assert (found.teacher, found.teacher_sha256) == (str(tiny_run), (newest.sha256(name),))
    both = with_teachers(taught_by(tiny_run, tiny_run)).distillation
    assert both.teachers == (str(tiny_run),) * 2
    assert both.teacher_sha256 == found.teacher_sha256 * 2
    assert with_teachers(PLAIN) is PLAIN


def test_a_teacher_may_move_but_not_become_another(tiny_run: Path, tmp_path: Path):
    begun = with_teachers(taught_by(tiny_run))
    moved = Path(shutil.copytree(tiny_run, tmp_path / "moved"))
    assert with_teachers(apply_overrides(begun, [f"teacher={moved}"]), begun).distillation.teacher == str(moved)
    expected = "0" * 64
    other = apply_overrides(begun, [f"distillation.teacher_sha256=[{expected}]"])
    for recipe, first in ((other, None), (begun, other)):
        with pytest.raises(CheckpointError, match=r"the weights of the teacher .*tiny have SHA-256") as caught:
            with_teachers(recipe, first)
        assert caught.value.code == "K452"
    with pytest.raises(CheckpointError, match=r"distillation\.teacher: .*none is not a run folder") as caught:
        with_teachers(taught_by(tmp_path / "none"))
    assert caught.value.code == "K420"
    assert "distillation.teacher=RUN" in caught.value.help
