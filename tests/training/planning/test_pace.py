"""Measured times of a small network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixelwise.observer import SILENT
from pixelwise.ranks import Ranks
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training.planning.pace import measure, measured_precision
from pixelwise.training.setup import look_at_data
from pixelwise.training.step import Outcome, train_step

WORDS = ["model.encoder=mobilenetv3_small_050", "initialize.encoder=none", "augment.crop=[32,32]"]


@pytest.mark.heavy
def test_a_step_and_an_evaluation_take_time_and_leave_nothing_behind(make_folder: Callable[..., Path]) -> None:
    root = make_folder({f"p{number}x": np.array([[0, 1]] * 40, np.uint8).repeat(20, 1) for number in range(20)})
    wanted = apply_overrides(recipe("unet"), [*WORDS, "sampling.batch_size=2"])
    dataset, facts, resolved = look_at_data(wanted, root, SILENT)
    before = torch.random.get_rng_state()
    pace = measure(resolved, dataset, facts, torch.device("cpu"), seconds=0)
    assert pace.step > 0
    assert pace.evaluation > 0
    assert torch.equal(torch.random.get_rng_state(), before)
    without = apply_overrides(resolved, ["selection.every_epochs=0", "selection.weights=last"])
    assert measure(without, dataset, facts, torch.device("cpu"), seconds=0).evaluation == 0


class FirstOfTwo(Ranks):
    """The first of two processes, the other of which is not there: measuring asks it nothing."""

    @property
    def world(self) -> int:
        return 2


@pytest.mark.heavy
@pytest.mark.parametrize(("batch", "accumulate", "expected"), [(4, 1, [2]), (2, 2, [2]), (3, 4, [3, 3]), (3, 1, [1])])
def test_a_process_of_several_measures_its_part_of_a_step(
    make_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    accumulate: int,
    expected: list[int],
) -> None:
    root = make_folder({f"p{number}x": np.array([[0, 1]] * 40, np.uint8).repeat(20, 1) for number in range(20)})
    sizes = [f"sampling.batch_size={batch}", f"sampling.accumulate={accumulate}"]
    # A part of one image has no variance in its smallest maps.
    wanted = apply_overrides(recipe("unet"), [*WORDS, *sizes, "augment.crop=[64,64]"])
    dataset, facts, resolved = look_at_data(wanted, root, SILENT)
    seen: list[list[int]] = []

    def counted(recipe: Any, state: Any, network: Any, micro_batches: Any, weights: Any) -> Outcome:
        seen.append([len(one.ids) for one in micro_batches])
        return train_step(recipe, state, network, micro_batches, weights)

    monkeypatch.setattr("pixelwise.training.planning.pace.train_step", counted)
    measure(resolved, dataset, facts, torch.device("cpu"), seconds=0, ranks=FirstOfTwo())
    assert seen
    assert all(sizes == expected for sizes in seen[:2])


@pytest.mark.heavy
def test_a_number_format_is_chosen_by_its_time(make_folder: Callable[..., Path]) -> None:
    root = make_folder({f"p{number}x": np.array([[0, 1]] * 40, np.uint8).repeat(20, 1) for number in range(4)})
    _, facts, resolved = look_at_data(apply_overrides(recipe("unet"), [*WORDS, "sampling.batch_size=2"]), root, SILENT)
    found = measured_precision(resolved, facts, torch.device("cpu"))
    assert found.field == "precision"
    assert found.value["dtype"] in ("float32", "bfloat16")
    assert "float32 contiguous" in found.reason
