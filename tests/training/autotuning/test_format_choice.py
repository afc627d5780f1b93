import json
from pathlib import Path

import pytest
import torch
from observers import Told

from pixelwise.errors import StoppedError
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Precision
from pixelwise.records.run_folder import read_recipe
from pixelwise.training import setup as preparing
from pixelwise.training.autotuning import format_choice
from pixelwise.training.autotuning.format_choice import (
    FormatChoice,
    candidates,
    choose_format,
    fastest,
    name,
    time_formats,
)
from pixelwise.training.runs import resume, train

CPU = torch.device("cpu")
RECIPE = apply_overrides(
    find_recipe("town-demo"), ["precision.dtype=auto", "sampling.batch_size=2", "augment.crop=[32,32]"]
)


@pytest.fixture(autouse=True)
def _without_bfloat16(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(format_choice, "computes_bfloat16", lambda: False)


def test_on_a_cpu_only_the_layouts_of_float32_are_chosen_from():
    assert [name(one) for one in candidates(RECIPE.precision, CPU)] == ["float32 contiguous", "float32 channels-last"]


@pytest.mark.parametrize(("bfloat16", "suggested"), [(0.05, True), (0.099, False)])
def test_bfloat16_on_a_cpu_is_suggested_but_not_chosen(
    bfloat16: float, suggested: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(format_choice, "computes_bfloat16", lambda: True)
    chosen = choose_format(RECIPE, (1, 1), CPU, measure=lambda formats: [0.2, 0.1, bfloat16])
    assert chosen.recipe.precision == Precision(dtype="float32", channels_last=True)
    assert chosen.milliseconds["bfloat16 channels-last"] == 1000 * bfloat16
    assert ("precision.dtype=bfloat16 precision.channels_last=true" in chosen.message) is suggested
    assert ("50%" in chosen.message) is suggested


@pytest.mark.parametrize(("bfloat16", "dtype"), [(0.069, "bfloat16"), (0.071, "float32")])
def test_where_it_is_allowed_bfloat16_is_chosen_if_it_saves_enough(
    bfloat16: float, dtype: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(format_choice, "computes_bfloat16", lambda: True)
    chosen = choose_format(RECIPE, (1, 1), CPU, share=0.7, measure=lambda formats: [0.2, 0.1, bfloat16])
    assert chosen.recipe.precision.dtype == dtype
    assert chosen.message.startswith(f"precision: {dtype} channels-last;")


def test_other_fields_of_the_precision_stay():
    assert all(one.compile for one in candidates(Precision(dtype="auto", compile=True), CPU))


def test_a_difference_within_the_margin_does_not_count():
    assert fastest([1.00, 0.98]) == 0
    assert fastest([1.00, 0.96]) == 1
    assert fastest([1.00, 0.96, 0.95, 0.5]) == 3


@pytest.mark.parametrize(("seconds", "channels_last"), [([0.2, 0.1], True), ([0.1, 0.2], False)])
def test_the_faster_layout_is_chosen_with_a_reason(seconds: list[float], channels_last: bool):
    chosen = choose_format(RECIPE, (1, 1), CPU, measure=lambda formats: seconds)
    assert chosen.recipe.precision == Precision(dtype="float32", channels_last=channels_last)
    assert chosen.milliseconds == {"float32 contiguous": 1000 * seconds[0], "float32 channels-last": 1000 * seconds[1]}
    assert "2 x 32x32 on cpu: float32 contiguous" in chosen.message
    assert chosen.recipe.model == RECIPE.model


@pytest.mark.heavy
def test_timing_leaves_the_random_generator_alone():
    before = torch.get_rng_state()
    seconds = time_formats(RECIPE, candidates(RECIPE.precision, CPU), (32, 32), CPU)
    assert len(seconds) == 2
    assert min(seconds) > 0
    assert torch.equal(torch.get_rng_state(), before)
    build_model(RECIPE)
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.heavy
def test_a_run_keeps_what_was_chosen_and_resumes_with_it(
    monkeypatch: pytest.MonkeyPatch, tiny_recipe: Path, tiny_data: Path, tmp_path: Path
):
    asked = []

    def choose(recipe, largest, device) -> FormatChoice:
        asked.append(largest)
        return choose_format(recipe, largest, device, measure=lambda formats: [2.0, 1.0])

    def stop(status) -> None:
        if status.step == 2:
            raise StoppedError("X000", "here", "go on", 75)

    monkeypatch.setattr(preparing, "choose_format", choose)
    arguments = {"data": tiny_data, "threads": 1}
    overrides = ["schedule.iterations=4", "selection.every_epochs=0", "selection.weights=last"]
    overrides.append("checkpoints.every_steps=1")
    auto = ["precision.dtype=auto", *overrides]
    observer = Told(step=stop)
    with pytest.raises(StoppedError):
        train(str(tiny_recipe), output=tmp_path / "auto", overrides=auto, observer=observer, **arguments)
    run = resume(tmp_path / "auto")
    assert asked == [(48, 64)]
    assert read_recipe(run).precision == Precision(dtype="float32", channels_last=True)
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert records[0]["kind"] == "precision"
    assert records[0]["milliseconds"] == {"float32 contiguous": 2000.0, "float32 channels-last": 1000.0}
    command = json.loads((run / "environment.json").read_text())["command"]
    assert command.endswith("precision.dtype=float32 precision.channels_last=true")
    given = [*overrides, "precision.channels_last=true"]
    straight = train(str(tiny_recipe), output=tmp_path / "given", overrides=given, **arguments)

    def losses(folder: Path) -> list[float]:
        kept = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
        return [record["loss"] for record in kept if record["kind"] == "step"]

    assert losses(run) == losses(straight)
    assert len(losses(run)) == 4
