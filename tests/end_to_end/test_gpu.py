"""What only an NVIDIA GPU can show, and what has to be the same there as on a CPU.

`make test-gpu` runs the tests that are marked `gpu`; the others are the same tests on a CPU, which keeps them honest
where there is no GPU.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pixelwise.api.evaluate import evaluate
from pixelwise.api.predict import predict
from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import ResourceError, StoppedError
from pixelwise.models import SegmentationModel
from pixelwise.observer import Observer
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import read_environment
from pixelwise.records.log import EvaluationRecord, StepRecord, read_log
from pixelwise.training.autotuning.batch_size import auto_batch, trial
from pixelwise.training.batches import Batch, TrainingPairs, training_batches
from pixelwise.training.memory import memory_explained
from pixelwise.training.precision import training_outputs
from pixelwise.training.runs import resume, train
from pixelwise.training.state import TrainingState, begin_state
from pixelwise.training.step import train_step

ON_BOTH = pytest.mark.parametrize("kind", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
ROUNDING = 1e-4
"""Relative difference of sums of a few hundred thousand float32 products in another order."""


@pytest.fixture(autouse=True)
def _full_precision(request: pytest.FixtureRequest) -> Iterator[None]:
    """A GPU, where one is asked for, that computes in float32 and not in TF32; or the reason why there is none."""
    if request.node.get_closest_marker("gpu") is not None and not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU: `make test-gpu` on a machine with one")
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


class Net(SegmentationModel):
    """A convolution with statistics: weights and buffers, and nothing random."""

    def __init__(self) -> None:
        super().__init__(ENetSpec(), ("a", "b"))
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.classifier = nn.Conv2d(8, 2, 1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.classifier(self.norm(self.conv(images)).relu()),)


def recipe_with(*changes: str) -> Recipe:
    return apply_overrides(find_recipe("town-demo"), ["ema.decay=0.9", "loss.class_weights=enet", *changes])


def begun(recipe: Recipe, kind: str) -> TrainingState:
    """A state of a network with the same weights every time."""
    torch.manual_seed(5)
    state = begin_state(Net(), recipe, torch.device(kind))
    for group in state.optimizer.param_groups:
        group["lr"] = 0.01
    return state


def batch(number: int) -> Batch:
    random = torch.Generator().manual_seed(number)
    images = torch.randint(0, 256, (2, 24, 32, 3), generator=random, dtype=torch.uint8)
    return Batch(images, (images[..., 0] > 100).to(torch.uint8), None, ["x", "y"])


def learn(state: TrainingState, recipe: Recipe, number: int, weights: tuple[float, float] = (1.0, 1.0)) -> float:
    """A step; returns its loss. Weights of NaN make loss and gradients NaN."""
    given = torch.tensor(weights, device=state.device)
    outcome = train_step(recipe, state, training_outputs(state.model, recipe.precision), [batch(number)], given)
    state.progress.step += 1
    return float(outcome.loss)


def everything(state: TrainingState) -> dict[str, Tensor]:
    """Copies of all tensors that a step changes."""
    assert state.average is not None
    kept = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    kept |= {f"average.{name}": value for name, value in state.average.state_dict().items()}
    for name, parameter in state.model.named_parameters():
        for key, value in state.optimizer.state[parameter].items():
            kept[f"optimizer.{key}.{name}"] = value
    return {name: value.detach().clone() for name, value in sorted(kept.items())}


@ON_BOTH
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_step_that_is_not_finite_changes_nothing(kind: str, optimizer: str):
    recipe = recipe_with(f"optimizer.kind={optimizer}")
    state = begun(recipe, kind)
    learn(state, recipe, 0)
    before = everything(state)
    assert not np.isfinite(learn(state, recipe, 1, (float("nan"), 1.0)))
    after = everything(state)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert np.isfinite(learn(state, recipe, 2))
    changed = everything(state)
    assert [name for name in before if name.endswith("conv.weight") and torch.equal(before[name], changed[name])] == []


@ON_BOTH
def test_the_host_reads_the_verdict_of_a_step(kind: str):
    recipe = recipe_with()
    state = begun(recipe, kind)
    learn(state, recipe, 0)
    told = []
    for weight in (1.0, float("nan"), 1.0):
        weights = torch.tensor((weight, 1.0), device=state.device)
        told.append(train_step(recipe, state, state.model.training_outputs, [batch(1)], weights))
    # On a GPU the host goes on before it knows.
    assert [one.verdict is not None for one in told] == [kind == "cuda"] * 3
    assert [one.judged().kind for one in told] == ["done", "bad", "done"]


@ON_BOTH
@pytest.mark.parametrize("layout", ["precision.channels_last=false", "precision.channels_last=true"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_restored_optimizer_goes_on_as_the_saved_one(kind: str, optimizer: str, layout: str, tmp_path: Path):
    recipe = recipe_with(f"optimizer.kind={optimizer}", layout)
    state = begun(recipe, kind)
    for number in range(3):
        learn(state, recipe, number)
    saved = state.save(tmp_path, recipe)
    expected = [learn(state, recipe, number) for number in range(3, 6)]
    other = begun(recipe, kind)
    other.restore(saved)
    devices = {value.device.type for name, value in everything(other).items()}
    assert devices == {kind}
    assert [learn(other, recipe, number) for number in range(3, 6)] == pytest.approx(expected, rel=ROUNDING)
    mine, theirs = everything(state), everything(other)
    assert list(mine) == list(theirs)
    torch.testing.assert_close(list(theirs.values()), list(mine.values()), rtol=10 * ROUNDING, atol=1e-6)


@pytest.mark.gpu
def test_a_gpu_learns_the_same_as_a_processor():
    recipe = recipe_with("optimizer.kind=sgd")
    states = [begun(recipe, kind) for kind in ("cpu", "cuda")]
    losses = [[learn(state, recipe, number) for number in range(8)] for state in states]
    assert losses[1] == pytest.approx(losses[0], rel=10 * ROUNDING)
    assert losses[0][-1] != pytest.approx(losses[0][0], rel=100 * ROUNDING)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["precision.cuda_graphs=false", "precision.cuda_graphs=true"])
def test_a_compiled_network_learns_the_same_with_and_without_recorded_graphs(precision: str):
    plain, compiled = recipe_with(), recipe_with("precision.compile=true", precision)
    state, other = begun(plain, "cuda"), begun(compiled, "cuda")
    network = training_outputs(other.model, compiled.precision)
    weights = torch.ones(2, device="cuda")
    # More steps than it takes to warm up, record and replay, of two batches each, so that gradients are accumulated.
    for number in range(8):
        batches = [batch(2 * number), batch(2 * number + 1)]
        expected = train_step(plain, state, state.model.training_outputs, batches, weights)
        found = train_step(compiled, other, network, batches, weights)
        assert float(found.loss) == pytest.approx(float(expected.loss), rel=10 * ROUNDING)
    torch.testing.assert_close(other.model.state_dict(), state.model.state_dict(), rtol=0.01, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("workers", [0, 1])
def test_batches_for_a_gpu_are_in_page_locked_memory(workers: int, tiny_data: Path, tiny_recipe: Path):
    recipe = find(str(tiny_recipe))
    dataset = open_dataset(recipe.data, tiny_data)
    pairs = TrainingPairs(dataset, dataset.samples("train"), recipe)
    for pin in (False, True):
        batches = training_batches(pairs, recipe, start=0, steps=2, workers=workers, warn=lambda *_: None, pin=pin)
        assert [(one.images.is_pinned(), one.labels.is_pinned()) for one in batches] == [(pin, pin)] * 2


@ON_BOTH
@pytest.mark.heavy
def test_a_run_that_was_stopped_goes_on_and_scores_alike_on_either_device(
    kind: str, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    class Stopping(Observer):
        """Stops the run after its first evaluation, of two."""

        def scored(self, score: object) -> None:
            raise StoppedError("I130", "stopped by the test", "resume it")

    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train(str(tiny_recipe), data=tiny_data, output=run, device=kind, threads=1, observer=Stopping())
    saved = newest_checkpoint(run / "checkpoints")
    assert saved is not None
    assert saved.step == 8
    resume(run)
    records = read_log(run).records
    steps = [one.step for one in records if isinstance(one, StepRecord)]
    assert sorted(set(steps)) == list(range(1, 17))
    assert all(np.isfinite(one.loss) for one in records if isinstance(one, StepRecord))
    assert any(isinstance(one, EvaluationRecord) for one in records)
    assert read_environment(run).arguments.device.partition(":")[0] == kind

    scored = evaluate(run, device=kind)
    again = evaluate(run, device="cpu")
    confused, expected = np.array(scored.confusion_matrix), np.array(again.confusion_matrix)
    assert confused.sum() == expected.sum() > 0
    assert np.abs(confused - expected).sum() <= 0.01 * expected.sum()
    photos = tiny_data / "images" / "test"
    for device in (kind, "cpu"):
        predict(run, photos, output=tmp_path / device, device=device, overlay=False)
    for name in sorted(path.name for path in photos.iterdir()):
        one, other = (np.asarray(Image.open(tmp_path / device / "masks" / name)) for device in (kind, "cpu"))
        assert (one != other).mean() < 0.01
    if kind == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        assert scored.training is not None
        for peak in (scored.peak_memory_bytes, scored.training.peak_memory_bytes):
            assert (
                48 * 64 * 3 * 4 < peak < total // 4
            )  # at least one image in float32, and no more than the network needs


@pytest.mark.gpu
def test_the_peak_is_that_of_the_gpu():
    from pixelwise.machine.facts import peak_memory_bytes

    device = torch.device("cuda", 0)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = peak_memory_bytes(device)
    kept = torch.empty(64 << 20, dtype=torch.uint8, device=device)
    assert peak_memory_bytes(device) - before == kept.numel()
    del kept
    assert peak_memory_bytes(device) - before == 64 << 20


@pytest.fixture
def little_memory() -> Iterator[int]:
    """Leave 512 MiB of the GPU to this process; yields the limit in bytes."""
    device = torch.device("cuda", 0)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    limit = torch.cuda.memory_reserved(device) + (512 << 20)
    torch.cuda.set_per_process_memory_fraction(limit / total, device)
    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0, device)
    torch.cuda.empty_cache()


LARGE = ("augment.crop=[512,512]", "sampling.batch_size=64", "sampling.accumulate=1", "precision.dtype=float32")


@pytest.mark.gpu
def test_a_step_that_does_not_fit_says_what_to_do(little_memory: int):
    recipe = recipe_with(*LARGE)
    device = torch.device("cuda", 0)
    with pytest.raises(ResourceError, match=r"batch_size=64 does not fit into the memory of cuda") as caught, \
            memory_explained(recipe, device):  # fmt: skip
        trial(recipe, (512, 512), device)(64)
    assert caught.value.code == "S605"
    assert "`auto_batch`" in caught.value.help
    peak = float(caught.value.message.rpartition("peak memory ")[2].partition(" GiB")[0])
    assert 0 < peak * 2**30 <= little_memory + 2**29


@pytest.mark.gpu
def test_a_batch_that_fits_is_found_by_trying(little_memory: int):
    recipe = recipe_with(*LARGE)
    found = auto_batch(recipe, (512, 512), torch.device("cuda", 0)).recipe.sampling
    assert 1 <= found.batch_size < 64
    assert found.batch_size * found.accumulate == 64


@pytest.mark.gpu
@pytest.mark.heavy
def test_the_format_of_numbers_is_chosen_by_trying(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    run = train(
        str(tiny_recipe), data=tiny_data, output=tmp_path / "run", device="cuda", overrides=["precision.dtype=auto"]
    )
    assert find(str(run / "recipe.toml")).precision.dtype in ("float32", "bfloat16")
    shutil.rmtree(run)
