from collections.abc import Callable
from pathlib import Path

import pytest
from observers import Told

import pixelwise
from pixelwise.api.train import train
from pixelwise.errors import RecipeError
from pixelwise.records.evaluations import find_result
from pixelwise.training.options import TrainOptions

SHORT = ("schedule.iterations=2", "selection.every_epochs=0", "selection.weights=last")


@pytest.mark.heavy
def test_a_run_is_scored_under_every_protocol_and_has_its_report(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    phases: list[str] = []
    both = 'evaluation.protocols=["native", "camvid-480x360"]'
    run = train(
        str(tiny_recipe),
        tiny_data,
        tmp_path / "run",
        TrainOptions(overrides=(*SHORT, both), threads=1),
        observer=Told(phase=phases.append),
    )
    assert run == tmp_path / "run"
    for protocol in ("native", "camvid-480x360"):
        result = find_result(run, "test", protocol)
        assert result is not None
        assert result.images == 3
    assert (run / "report.html").is_file()
    assert phases[-4:] == ["evaluating", "drawing pictures", "drawing pictures", "writing the report"]


def test_evaluate_false_leaves_that_out(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    run = pixelwise.train(
        str(tiny_recipe), data=tiny_data, output=tmp_path / "run", overrides=SHORT, threads=1, evaluate=False
    )
    assert find_result(run, "test", "native") is None
    assert not (run / "report.html").exists()


def test_keywords_win_over_options_and_wrong_ones_are_named(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    with pytest.raises(TypeError, match="'device'"):
        train(str(tiny_recipe), tiny_data, tmp_path / "run", devise="cpu")
    with pytest.raises(RecipeError) as caught:
        train(str(tiny_recipe), tiny_data, tmp_path / "run", TrainOptions(device="cpu"), device="tpu")
    assert caught.value.code == "R214"
    with pytest.raises(RecipeError) as caught:
        TrainOptions(threads=0)
    assert caught.value.code == "R260"
    assert not (tmp_path / "run").exists()


@pytest.mark.heavy
def test_the_verb_ends_with_a_table_and_a_report(run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    run = tmp_path / "run"
    code, stdout, stderr = run_cli(
        ["train", tiny_recipe, "--data", tiny_data, "--output", run, "--threads", "1", *SHORT]
    )
    assert code == 0, stderr
    assert "mIoU" in stdout
    assert "test, native, 3 images" in stdout
    assert str(run / "report.html") in stdout
    assert (run / "report.html").is_file()
    assert "looking at the data ..." in stderr
    assert "step 2/2" in stderr


def test_the_verb_says_what_to_do_with_a_run_that_was_not_scored(
    run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    run = tmp_path / "run"
    options = ["--data", tiny_data, "--output", run, "--threads", "1", "--no-evaluate", *SHORT]
    code, stdout, _ = run_cli(["train", tiny_recipe, *options])
    assert code == 0
    assert f"pixelwise evaluate {run}" in stdout
