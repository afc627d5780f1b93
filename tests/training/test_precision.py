from pathlib import Path

import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.schema.recipe import Precision
from pixelwise.training import precision
from pixelwise.training.precision import bfloat16_caution, refuse_impossible, training_outputs
from pixelwise.training.runs import train

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_only_bfloat16_on_a_cpu_without_its_instructions_is_a_warning(monkeypatch: pytest.MonkeyPatch):
    for can in (True, False):
        monkeypatch.setattr(precision, "computes_bfloat16", lambda can=can: can)
        assert bfloat16_caution(Precision(), CPU) is None
        assert bfloat16_caution(Precision(dtype="bfloat16"), GPU) is None
        assert ("precision.dtype=float32" in str(bfloat16_caution(Precision(dtype="bfloat16"), CPU))) is not can


def test_compiling_without_a_compiler_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tiny_recipe: Path, tiny_data: Path, tmp_path: Path
):
    monkeypatch.setenv("CXX", "no-such-compiler")
    refuse_impossible(Precision(), CPU)
    refuse_impossible(Precision(compile=True), GPU)
    with pytest.raises(RecipeError, match="'no-such-compiler'") as caught:
        train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", overrides=["precision.compile=true"])
    assert caught.value.code == "R216"
    assert not (tmp_path / "run").exists()


@pytest.mark.heavy
def test_a_processor_without_bfloat16_is_warned_of_in_the_log(
    monkeypatch: pytest.MonkeyPatch, tiny_recipe: Path, tiny_data: Path, tmp_path: Path
):
    monkeypatch.setattr(precision, "computes_bfloat16", lambda: False)
    overrides = ["precision.dtype=bfloat16", "schedule.iterations=1", "schedule.warmup_iterations=0"]
    run = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1, overrides=overrides)
    assert '"code":"W503"' in (run / "log.jsonl").read_text()


def test_cuda_graphs_without_a_gpu_are_refused(run_cli, tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    graphs = ["precision.compile=true", "precision.cuda_graphs=true"]
    command = ["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run", "--device", "cpu", *graphs]
    code, _, error = run_cli(command)
    assert code == 2
    assert "R224" in error
    assert "'cpu'" in error
    assert not (tmp_path / "run").exists()
    refuse_impossible(Precision(compile=True, cuda_graphs=True), GPU)


def test_cuda_graphs_belong_to_a_compiled_network():
    with pytest.raises(RecipeError, match=r"precision\.cuda_graphs.*precision\.compile") as caught:
        Precision(cuda_graphs=True)
    assert caught.value.code == "R203"


def test_only_what_is_asked_for_is_compiled(monkeypatch: pytest.MonkeyPatch):
    modes = []
    monkeypatch.setattr(torch, "compile", lambda function, mode: modes.append(mode) or function)
    model = build_model(find_recipe("town-demo"))
    for asked in (Precision(), Precision(compile=True), Precision(compile=True, cuda_graphs=True)):
        assert training_outputs(model, asked) == model.training_outputs
    assert modes == ["default", "reduce-overhead"]
