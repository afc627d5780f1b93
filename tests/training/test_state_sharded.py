"""The state of a run of which every process keeps a part, against one process that has all of it."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.ranks import Ranks
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.state import TrainingState, begin_state
from tests.ranks.processes import in_ranks
from tests.training.test_state import CPU, Net, recipe_with

KINDS = {
    "adamw": ["optimizer.kind=adamw", "ema.decay=0.9"],
    "adam": ["optimizer.kind=adam", "precision.channels_last=true", "optimizer.groups=[{pattern='norm', lr=0.1}]"],
    "sgd": ["optimizer.kind=sgd", "optimizer.momentum=0.9", "precision.channels_last=true", "ema.decay=0.9"],
}


def begun(recipe: Recipe) -> TrainingState:
    torch.manual_seed(0)
    return begin_state(Net(width=5).double(), recipe, CPU)


def learn(state: TrainingState, recipe: Recipe, ranks: Ranks, steps: int) -> list[float]:
    """Steps on six images, of which each process has its share; the norms of their gradients."""
    norms = []
    forward = state.sharded or state.model.head_logits
    state.model.eval()  # no dropout, and no statistics of a share
    for _ in range(steps):
        images = torch.randn(6, 3, 6, 6, generator=torch.Generator().manual_seed(state.progress.step)).double()
        state.optimizer.zero_grad(set_to_none=True)
        (forward(images[ranks.rank :: ranks.world])[0].square().sum() / 6).backward()
        norms.append(float(state.clip_gradients(0.5)))
        state.optimizer.step()
        if recipe.ema is not None:
            state.update_average(recipe.ema)
        state.progress.step += 1
    return norms


def files_of(folder: Path) -> dict[str, Tensor]:
    newest = newest_checkpoint(folder)
    assert newest is not None
    found = {}
    for path in newest.path.glob("*.safetensors"):
        found |= {f"{path.stem}.{key}": value for key, value in safetensors.torch.load_file(path).items()}
    return {key: value for key, value in found.items() if not key.startswith("training.random")}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].shape == value.shape, key
        assert torch.allclose(found[key].double(), value.double(), rtol=1e-9, atol=1e-11), key


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_saved_by_two_processes_and_restored_by_three_it_goes_on_as_one(kind: str, tmp_path: Path):
    recipe = recipe_with(*KINDS[kind])
    alone = begun(recipe)
    expected = learn(alone, recipe, Ranks(), 6)
    alone.save(tmp_path / "alone", recipe)

    def work(ranks: Ranks, before: Path | None, folder: Path, divided: bool = True) -> list[float]:
        state = begun(recipe)
        if before is not None and ranks.first:  # the others get it from the first one
            newest = newest_checkpoint(before)
            assert newest is not None
            state.restore(newest)
        state.share(ranks, divided=divided)
        assert (state.sharded is not None) == divided
        norms = learn(state, recipe, ranks, 2)
        if ranks.first:
            state.save(folder, recipe)
        else:
            state.take_part_in_saving()
        return norms

    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    norms = [
        *in_ranks(2, lambda ranks: work(ranks, None, first))[1],
        *in_ranks(3, lambda ranks: work(ranks, first, second))[2],
    ]
    assert norms == pytest.approx(expected[:4], rel=1e-9)
    state = begun(recipe)
    newest = newest_checkpoint(second)
    assert newest is not None
    state.restore(newest)  # in this process alone
    assert learn(state, recipe, Ranks(), 2) == pytest.approx(expected[4:], rel=1e-9)
    state.save(third, recipe)
    assert_equal(files_of(third), files_of(tmp_path / "alone"))


@pytest.mark.heavy
def test_what_is_scored_is_the_average_and_else_the_network():
    for kind in ("adamw", "adam"):
        recipe = recipe_with(*KINDS[kind])
        alone = begun(recipe)
        learn(alone, recipe, Ranks(), 3)
        with alone.to_score() as scored:
            assert scored is (alone.average or alone.model)
            expected = copy.deepcopy(scored.state_dict())

        def work(ranks: Ranks, recipe: Recipe = recipe) -> Any:
            state = begun(recipe)
            state.share(ranks, divided=True)
            learn(state, recipe, ranks, 3)
            with state.to_score() as scored:
                assert type(scored) is Net
                assert scored is not state.average
                return {name: value.clone() for name, value in scored.state_dict().items()}

        for found in in_ranks(2, work):
            assert_equal(found, expected)


@pytest.mark.heavy
def test_a_process_that_is_alone_with_an_error_saves_nothing(tmp_path: Path):
    recipe = recipe_with()

    def work(ranks: Ranks, folder: Path) -> str:
        state = begun(recipe)
        state.share(ranks, divided=True)
        if not ranks.first:
            return "gone"
        try:
            state.save(folder, recipe)
        except RuntimeError as error:
            return type(error).__name__
        return "saved"

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, second = in_ranks(2, lambda ranks: work(ranks, folder))
        assert (first, second) != ("saved", "gone")
        assert not list(folder.glob("step-*"))
