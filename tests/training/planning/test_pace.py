"""Measured times of a small network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pixelwise.observer import SILENT
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training.planning.pace import measure, measured_precision
from pixelwise.training.setup import look_at_data

WORDS = ["model.encoder=mobilenetv3_small_050", "initialize.encoder=none", "augment.crop=[32,32]"]


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


def test_a_number_format_is_chosen_by_its_time(make_folder: Callable[..., Path]) -> None:
    root = make_folder({f"p{number}x": np.array([[0, 1]] * 40, np.uint8).repeat(20, 1) for number in range(4)})
    _, facts, resolved = look_at_data(apply_overrides(recipe("unet"), [*WORDS, "sampling.batch_size=2"]), root, SILENT)
    found = measured_precision(resolved, facts, torch.device("cpu"))
    assert found.field == "precision"
    assert found.value["dtype"] in ("float32", "bfloat16")
    assert "float32 contiguous" in found.reason
