from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch
from observers import Told

from pixelwise.errors import ResourceError
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training import loop
from pixelwise.training import setup as preparing
from pixelwise.training.autotuning.batch_size import (
    auto_batch,
    divisors,
    largest_that_runs,
    largest_within,
    random_batch,
    trial,
)
from pixelwise.training.runs import train

RECIPE = apply_overrides(find_recipe("town-demo"), ["sampling.batch_size=12"])
GPU, CPU = torch.device("cuda"), torch.device("cpu")


def memory_for(images: int, tried: list[int] | None = None) -> Callable[[int], int]:
    """A training step that runs out of memory with more than so many images."""

    def step(batch_size: int) -> int:
        if tried is not None:
            tried.append(batch_size)
        if batch_size > images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return batch_size

    return step


def test_divisors_from_the_largest_down():
    assert divisors(12) == [12, 6, 4, 3, 2, 1]
    assert divisors(7) == [7, 1]


def test_the_largest_divisor_that_runs_is_taken():
    tried: list[int] = []
    assert largest_that_runs(12, memory_for(5, tried)) == 4
    assert tried == [12, 6, 4]
    assert largest_that_runs(12, memory_for(0)) is None


def test_other_errors_of_a_step_are_raised():
    def step(batch_size: int) -> int:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        largest_that_runs(4, step)


def test_on_the_cpu_memory_is_extrapolated_from_two_small_steps():
    asked: list[int] = []

    def step(batch_size: int) -> int:
        asked.append(batch_size)
        return 100 + 10 * batch_size

    assert largest_within(12, step, 100 + 10 * 12)[0] == 12
    assert largest_within(12, step, 100 + 10 * 12 - 1)[0] == 6
    assert largest_within(12, step, 105)[0] is None
    assert set(asked) == {2, 3}


def test_the_images_per_step_do_not_change():
    recipe = apply_overrides(RECIPE, ["sampling.batch_size=6", "sampling.accumulate=2"])
    chosen, message = auto_batch(recipe, (8, 8), GPU, step=memory_for(4))
    assert (chosen.sampling.batch_size, chosen.sampling.accumulate) == (4, 3)
    assert all(value in message for value in ("4 images", "3 accumulated", "12 images per step"))
    # More memory than the recipe needs: one large batch instead of two.
    assert auto_batch(recipe, (8, 8), GPU, step=memory_for(99)).recipe.sampling.batch_size == 12


def test_a_recipe_that_fits_is_left_as_it_is():
    chosen, message = auto_batch(RECIPE, (8, 8), CPU, step=lambda images: images, available=lambda: 12)
    assert chosen == RECIPE
    assert "12" in message


@pytest.mark.parametrize("device", [GPU, CPU])
def test_too_little_memory_for_any_batch_is_an_error(device: torch.device):
    step = memory_for(0) if device is GPU else lambda images: 10 * images
    with pytest.raises(ResourceError, match=device.type) as caught:
        auto_batch(RECIPE, (8, 8), device, step=step, available=lambda: 1)
    assert (caught.value.code, caught.value.exit_code) == ("S605", 6)
    assert "augment.crop" in caught.value.help


@pytest.mark.heavy
def test_a_real_trial_needs_memory_in_proportion_to_the_images():
    recipe = msgspec.structs.replace(RECIPE, data=msgspec.structs.replace(RECIPE.data, classes=("a", "b")))
    step = trial(recipe, (32, 48), CPU)
    two, three, six = step(2), step(3), step(6)
    assert 0 < two < three < six
    assert six - three == pytest.approx(3 * (three - two), rel=0.01)


@pytest.mark.heavy
def test_train_takes_the_batch_that_fits_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    def choose(recipe, largest, device):
        assert largest == (48, 64)
        return auto_batch(recipe, largest, device, step=lambda images: 10 * images, available=lambda: 10)

    monkeypatch.setattr(preparing, "auto_batch", choose)
    said: list[tuple[str, str]] = []
    run = train(
        str(tiny_recipe),
        data=tiny_data,
        output=tmp_path / "run",
        threads=1,
        auto_batch=True,
        overrides=["schedule.iterations=1", "selection.every_epochs=0", "selection.weights=last"],
        observer=Told(warn=lambda code, message: said.append((code, message))),
    )
    assert [code for code, _ in said if code == "W605"] == ["W605"]
    recipe = find_recipe(str(run / "recipe.toml"))
    assert (recipe.sampling.batch_size, recipe.sampling.accumulate) == (1, 2)
    # The recorded command does the same without choosing.
    assert "sampling.batch_size=1 sampling.accumulate=2" in (run / "environment.json").read_text()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
)
def test_running_out_of_memory_in_training_says_what_to_do(
    error: RuntimeError, monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    def step(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(loop, "train_step", step)
    with pytest.raises(ResourceError, match=r"sampling\.batch_size=2 .*\bcpu\b.* \d+\.\d GiB") as caught:
        train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1)
    assert caught.value.code == "S605"
    assert "`auto_batch`" in caught.value.help


def test_random_batches_have_the_channels_of_the_network():
    assert random_batch(2, (4, 5), 3, 7).images.shape == (2, 4, 5, 7)
    assert random_batch(2, (4, 5), 3).images.shape == (2, 4, 5, 3)
