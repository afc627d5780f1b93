"""Saved and restored by itself; whole runs that resume are in test_runs.py."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import safetensors
import torch
from torch import Tensor, nn

from pixelwise.checkpoints.checkpoint import list_checkpoints
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.optimization.ema import update_average
from pixelwise.training.state import Progress, TrainingState, begin_state

CPU = torch.device("cpu")


class Net(SegmentationModel):
    """A convolution with statistics and dropout: weights, buffers and random numbers."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(ENetSpec(), ("a", "b"))
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(width, 2, 1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.classifier(self.dropout(self.norm(self.conv(images)).relu())),)


def recipe_with(*changes: str) -> Recipe:
    return apply_overrides(find_recipe("town-demo"), changes)


def learn(state: TrainingState, recipe: Recipe) -> None:
    """A step on random images."""
    state.model.head_logits(torch.randn(2, 3, 6, 6))[0].square().mean().backward()
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.progress.step += 1
    if state.average is not None and recipe.ema is not None:
        update_average(state.average, state.model, recipe.ema, state.progress.step)


def everything(state: TrainingState) -> dict[str, Tensor]:
    average = {} if state.average is None else state.average.state_dict()
    return {**state.model.state_dict(), **{f"average.{name}": value for name, value in average.items()}}


@pytest.mark.parametrize(
    "changes",
    [
        ["optimizer.kind=adamw", "ema.decay=0.9"],
        ["optimizer.kind=adam", "precision.channels_last=true"],
        ["optimizer.kind=sgd", "precision.channels_last=true", "ema.decay=0.9"],
    ],
    ids=["adamw", "adam", "sgd"],
)
def test_a_restored_state_goes_on_as_the_saved_one(changes: list[str], tmp_path: Path):
    recipe = recipe_with(*changes)
    state = begin_state(Net(), recipe, CPU)
    for _ in range(2):
        learn(state, recipe)
    saved = state.save(tmp_path, recipe)
    for _ in range(2):
        learn(state, recipe)
    expected = {name: value.clone() for name, value in everything(state).items()}

    other = begin_state(Net(), recipe, CPU)
    assert not torch.equal(other.model.state_dict()["conv.weight"], expected["conv.weight"])
    learn(other, recipe)
    torch.manual_seed(99)
    other.restore(saved)
    assert other.progress.step == 2
    for _ in range(2):
        learn(other, recipe)

    assert set(everything(other)) == set(expected)
    for name, value in everything(other).items():
        assert torch.equal(value, expected[name]), name


def test_all_of_the_progress_comes_back(tmp_path: Path):
    recipe = recipe_with()
    told = Progress(
        step=7, evaluated_step=6, miou=0.25, renewed_step=5, best_miou=0.5, best_step=3, improved_miou=0.5,
        stale_evaluations=2, longest_stale=3, skipped=1, void=4, bad_in_a_row=1,
        seconds=12.5, resumes=3, peak_memory_bytes=1 << 40,
    )  # fmt: skip
    assert all(getattr(told, name) != getattr(Progress(), name) for name in told.__struct_fields__)
    state = begin_state(Net(), recipe, CPU)
    state.progress = told
    saved = state.save(tmp_path, recipe)
    other = begin_state(Net(), recipe, CPU)
    other.restore(saved)
    assert other.progress == told


def test_progress_of_older_versions_counts_as_if_no_evaluation_had_improved(tmp_path: Path):
    recipe = recipe_with()
    state = begin_state(Net(), recipe, CPU)
    state.progress = Progress(step=7)
    saved = state.save(tmp_path, recipe)
    kept = {name: value for name, value in saved.state()["progress"].items() if name != "longest_stale"}
    (saved.path / "state.json").write_bytes(msgspec.json.encode({"progress": kept}))
    other = begin_state(Net(), recipe, CPU)
    other.restore(saved)
    assert (other.progress.step, other.progress.longest_stale) == (7, 7)


@pytest.mark.parametrize(("evaluated", "miou"), [(4, 0.25), (3, None), (-1, None)])
def test_a_checkpoint_has_the_score_of_its_own_step_alone(evaluated: int, miou: float | None, tmp_path: Path):
    recipe = recipe_with()
    state = begin_state(Net(), recipe, CPU)
    state.progress = Progress(step=4, evaluated_step=evaluated, miou=0.25)
    saved = state.save(tmp_path, recipe)
    assert (saved.step, saved.manifest.miou) == (4, miou)


def test_as_many_checkpoints_stay_as_the_recipe_keeps_and_the_best_one(tmp_path: Path):
    recipe = recipe_with("checkpoints.keep=2")
    state = begin_state(Net(), recipe, CPU)
    for step, miou in ((1, 0.1), (2, 0.9), (3, 0.2), (4, 0.3), (5, 0.4)):
        state.progress = Progress(step=step, evaluated_step=step, miou=miou)
        state.save(tmp_path, recipe)
    assert [manifest.step for _, manifest in list_checkpoints(tmp_path)] == [2, 4, 5]


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_weights_say_what_they_are_of(multilabel: bool, tmp_path: Path):
    recipe = recipe_with("ema.decay=0.9")
    model = Net()
    model.multilabel = multilabel
    state = begin_state(model, recipe, CPU)
    state.progress.step = 3
    saved = state.save(tmp_path, recipe)
    for name in ("model", "ema", "training"):
        with safetensors.safe_open(saved.path / f"{name}.safetensors", "pt") as file:
            told = json.loads(file.metadata()["pixelwise"])
        assert (told["recipe"], told["classes"], told["step"]) == ("town-demo", ["a", "b"], 3)
        assert told["model"] == msgspec.json.decode(msgspec.json.encode(recipe.model))
        assert told.get("multilabel", False) is multilabel


def test_a_checkpoint_without_the_average_is_of_another_recipe(tmp_path: Path):
    plain = recipe_with()
    saved = begin_state(Net(), plain, CPU).save(tmp_path, plain)
    assert not saved.has("ema")
    averaged = begin_state(Net(), recipe_with("ema.decay=0.9"), CPU)
    with pytest.raises(CheckpointError) as caught:
        averaged.restore(saved)
    assert caught.value.code == "K411"
    assert "ema.safetensors" in caught.value.message


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path):
    recipe = recipe_with()
    saved = begin_state(Net(), recipe, CPU).save(tmp_path, recipe)
    with pytest.raises(CheckpointError) as caught:
        begin_state(Net(width=5), recipe, CPU).restore(saved)
    assert caught.value.code == "K422"
    assert "conv.weight (4, 3, 3, 3) instead of (5, 3, 3, 3)" in caught.value.message


def test_before_the_first_step_the_average_is_a_copy_of_the_network():
    state = begin_state(Net(), recipe_with("ema.decay=0.9"), CPU)
    assert state.average is not None
    assert state.progress == Progress()
    assert (state.progress.step, state.progress.evaluated_step, state.progress.miou) == (0, -1, None)
    assert (state.model.training, state.average.training) == (True, False)
    with torch.no_grad():
        before = state.average.get_parameter("conv.weight").clone()
        state.model.get_parameter("conv.weight").add_(1)
    assert torch.equal(state.average.get_parameter("conv.weight"), before)
    assert torch.equal(state.model.get_parameter("conv.weight"), before + 1)


def test_no_average_is_kept_where_the_recipe_has_none():
    assert begin_state(Net(), recipe_with("ema=none"), CPU).average is None


@pytest.mark.parametrize("channels_last", [False, True])
def test_weights_lie_in_memory_as_the_recipe_says(channels_last: bool):
    state = begin_state(Net(), recipe_with(f"precision.channels_last={str(channels_last).lower()}"), CPU)
    weight = state.model.get_parameter("conv.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert weight.is_contiguous() != channels_last


def test_the_optimizer_moves_every_parameter_of_the_network_on_its_device():
    state = begin_state(Net(), recipe_with("optimizer.kind=sgd"), CPU)
    moved = {id(parameter) for group in state.optimizer.param_groups for parameter in group["params"]}
    assert moved == {id(parameter) for parameter in state.model.parameters()}
    assert state.device == CPU
    assert begin_state(Net(), recipe_with(), torch.device("meta")).device == torch.device("meta")
