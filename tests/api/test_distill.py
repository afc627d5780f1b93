from __future__ import annotations

from pathlib import Path

import pytest

import pixelwise
from pixelwise.checkpoints.trained import load_trained
from pixelwise.records.environment import read_environment
from pixelwise.records.run_folder import read_recipe
from pixelwise.training.distillation.options import DistillOptions

SHORT = ("schedule.iterations=1", "selection.every_epochs=0", "selection.weights=last")


def test_a_network_learns_from_a_run(tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    run = pixelwise.distill(
        str(tiny_recipe), tiny_data, tmp_path / "run", teacher=tiny_run, temperature=2, labels=False,
        overrides=SHORT, threads=1, evaluate=False,
    )  # fmt: skip
    section, environment = read_recipe(run).distillation, read_environment(run)
    assert (section.teacher, section.temperature, section.with_labels) == (str(tiny_run), 2.0, False)
    assert [one.weights_sha256 for one in environment.teachers] == [load_trained(tiny_run).weights_sha256]
    assert environment.command.startswith("pixelwise train ")
    assert "distillation.with_labels=false" in environment.command


def test_a_teacher_is_needed(tiny_data: Path, tiny_run: Path):
    with pytest.raises(TypeError, match="teacher"):
        pixelwise.distill("unet", tiny_data)
    with pytest.raises(TypeError, match="did you mean 'teacher'"):
        pixelwise.distill("unet", tiny_data, options=DistillOptions(teacher=(tiny_run,)), teachers=tiny_run)
