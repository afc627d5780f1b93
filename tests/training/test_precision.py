from pathlib import Path

import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema import Precision
from pixelwise.training import precision
from pixelwise.training.precision import bfloat16_caution, refuse_without_compiler
from pixelwise.training.runs import train

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_only_bfloat16_on_a_cpu_needs_caution():
    assert bfloat16_caution(Precision(), CPU) is None
    assert bfloat16_caution(Precision(dtype="bfloat16"), GPU) is None
    assert "not reproducible" in str(bfloat16_caution(Precision(dtype="bfloat16"), CPU))


def test_a_processor_without_bfloat16_is_named_as_slow(monkeypatch: pytest.MonkeyPatch):
    for can in (True, False):
        monkeypatch.setattr(precision, "computes_bfloat16", lambda can=can: can)
        assert ("no instructions" in str(bfloat16_caution(Precision(dtype="bfloat16"), CPU))) is not can


def test_compiling_without_a_compiler_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tiny_recipe: Path, tiny_data: Path, tmp_path: Path
):
    monkeypatch.setenv("CXX", "no-such-compiler")
    refuse_without_compiler(Precision(), CPU)
    refuse_without_compiler(Precision(compile=True), GPU)
    with pytest.raises(RecipeError, match="'no-such-compiler' was not found") as caught:
        train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", overrides=["precision.compile=true"])
    assert caught.value.code == "R216"
    assert not (tmp_path / "run").exists()


def test_training_in_bfloat16_on_a_cpu_is_warned_of_in_the_log(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    overrides = ["precision.dtype=bfloat16", "schedule.iterations=1", "schedule.warmup_iterations=0"]
    run = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1, overrides=overrides)
    assert '"code":"W503"' in (run / "log.jsonl").read_text()
