from __future__ import annotations

from pathlib import Path

import pytest

import pixelwise
from pixelwise.deployment.card.latencies import LatencyTable
from pixelwise.errors import RecipeError
from pixelwise.profiling.forward import ForwardProfile
from pixelwise.profiling.options import ProfileOptions
from pixelwise.profiling.training import TrainingProfile


def test_by_default_one_image_is_measured() -> None:
    found = pixelwise.profile("town-demo", size=(32, 48), steps=2, threads=(1,))
    assert isinstance(found, ForwardProfile)
    assert (found.complexity.height, found.complexity.width, found.runs, found.threads) == (32, 48, 2, 1)


@pytest.mark.heavy
def test_training_steps_are_measured_and_drawn(tiny_recipe: Path, tiny_data: Path, tmp_path: Path) -> None:
    options = ProfileOptions(
        train=True, data=tiny_data, size=(24, 32), steps=1, output=tmp_path / "new" / "profile.png"
    )
    found = pixelwise.profile(tiny_recipe, ["data.cache=off"], options)
    assert isinstance(found, TrainingProfile)
    assert (found.height, found.width, found.steps, found.cached) == (24, 32, 1, False)
    assert (tmp_path / "new" / "profile.png").stat().st_size > 5000


@pytest.mark.heavy
def test_runtimes_are_measured_in_turns() -> None:
    found = pixelwise.profile("town-demo", runtimes=("torch", "torch-channels-last"), size=(32, 48), rounds=1, batch=2)
    assert isinstance(found, LatencyTable)
    assert [(row.runtime, row.threads, row.batch) for row in found.rows] == [
        ("torch", 1, 2), ("torch-channels-last", 1, 2),
    ]  # fmt: skip
    assert found.model == "town-demo"


def test_contradictory_options_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    for options, code in (
        ({"train": True, "output": tmp_path / "profile.txt"}, "R217"),
        ({"output": tmp_path / "profile.png"}, "R251"),
        ({"threads": (0,)}, "R260"),
    ):
        with pytest.raises(RecipeError) as caught:
            pixelwise.profile("no such recipe", **options)
        assert caught.value.code == code
