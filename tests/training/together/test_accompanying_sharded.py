"""Trainings by several processes of which each keeps a part of the weights, against those that keep all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import PixelwiseError
from pixelwise.evaluation.runs import score_by_name
from pixelwise.observer import Observer, TrainingStart
from pixelwise.ranks import Ranks
from pixelwise.records.exits import read_exit
from pixelwise.records.log import EvaluationRecord, FinishedRecord, ProcessesRecord, StepRecord
from pixelwise.training.runs import resume, train
from tests.ranks.processes import in_ranks
from tests.training.together.test_accompanying import FEATURES, SMALL, UNSCORED, in_float64, records, tensors_of

AVERAGED = ["ema.decay=0.9", "optimizer.clip_norm=0.5"]
TRANSFORMER = ["model.encoder=vit_tiny_patch16_224", "augment.crop=[32,32]", "schedule.kind=constant"]


class Told(Observer):
    def __init__(self) -> None:
        self.machine = ""

    def begin(self, start: TrainingStart) -> None:
        self.machine = start.machine


def trained(folder: Path, *changes: str, recipe: str = "unet-resnet18", shard: Any = "always") -> str:
    """Train in this process and those beside it; returns what is said of the machine."""
    told = Told()
    assert train(recipe, output=folder, overrides=[*SMALL, *changes], threads=1, shard=shard, observer=told) == folder
    return told.machine


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.allclose(found[key].double(), value.double(), rtol=1e-9, atol=1e-9), key


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("world", "accumulate", "epochs"),
    [(2, 1, 1), pytest.param(3, 1, 2, marks=pytest.mark.heavy), pytest.param(2, 2, 2, marks=pytest.mark.heavy)],
)
def test_parts_give_the_result_of_whole_networks(tmp_path: Path, world: int, accumulate: int, epochs: int):
    """Batch normalisation over parts of a batch, and over whole ones; the last batch of an epoch is small."""

    def work(ranks: Ranks) -> None:
        in_float64()
        length = [f"sampling.accumulate={accumulate}", f"schedule.epochs={epochs}"]
        for shard in ("never", "always"):
            trained(tmp_path / shard, *AVERAGED, *UNSCORED, *length, shard=shard)

    in_ranks(world, work)
    whole, parts = (records(tmp_path / shard, StepRecord) for shard in ("never", "always"))
    assert len(parts) == len(whole) > 3
    assert [one.loss for one in parts] == pytest.approx([one.loss for one in whole], rel=1e-6)
    assert [one.grad_norm for one in parts] == pytest.approx([one.grad_norm for one in whole], rel=1e-9)
    assert_close(tensors_of(tmp_path / "always"), tensors_of(tmp_path / "never"))
    for shard in ("never", "always"):
        (record,) = records(tmp_path / shard, ProcessesRecord)
        assert (record.world, record.sharded) == (world, shard == "always")


@pytest.mark.heavy
def test_the_map_to_features_is_whole_in_every_process_and_clipped_with_the_parts(tmp_path: Path):
    words = [*AVERAGED, *UNSCORED, *FEATURES, "schedule.epochs=1"]

    def work(ranks: Ranks) -> None:
        in_float64()
        for shard in ("never", "always"):
            trained(tmp_path / shard, *words, shard=shard)

    in_ranks(2, work)
    whole, parts = (records(tmp_path / shard, StepRecord) for shard in ("never", "always"))
    assert [one.loss for one in parts] == pytest.approx([one.loss for one in whole], rel=1e-6)
    assert [one.grad_norm for one in parts] == pytest.approx([one.grad_norm for one in whole], rel=1e-9)
    found = tensors_of(tmp_path / "always")
    assert "training.optimizer.exp_avg_sq.distillation.projection.bias" in found
    assert_close(found, tensors_of(tmp_path / "never"))


@pytest.mark.heavy
def test_two_processes_three_and_one_train_one_run(tmp_path: Path):
    """A transformer whose blocks are divided one by one."""
    words = [*TRANSFORMER, *AVERAGED, *UNSCORED]
    whole, run = tmp_path / "whole", tmp_path / "run"

    def undisturbed(ranks: Ranks) -> str:
        in_float64()
        return trained(whole, *words, "schedule.iterations=6", recipe="generic-fpn", shard="never")

    def first(ranks: Ranks) -> str:
        in_float64()
        return trained(run, *words, "schedule.iterations=2", recipe="generic-fpn")

    def more(steps: int, **options: Any) -> None:
        in_float64()
        resume(run, overrides=[f"schedule.iterations={steps}"], **options)

    assert "part of the weights" not in in_ranks(2, undisturbed)[0]
    assert in_ranks(2, first)[0].startswith(
        "cpu, 2 processes of 1 thread that take a part of every batch and keep a part of the weights each, "
    )
    in_ranks(3, lambda ranks: more(4))
    in_ranks(1, lambda ranks: more(5))
    in_ranks(2, lambda ranks: more(6, shard="never"))
    told = [(one.step, one.world, one.sharded) for one in records(run, ProcessesRecord)]
    assert told == [(0, 2, True), (2, 3, True), (4, 1, False), (5, 2, False)]
    norms = [[one.grad_norm for one in records(folder, StepRecord)] for folder in (run, whole)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-6)
    assert len(norms[0]) == 6
    assert_close(tensors_of(run), tensors_of(whole))
    # One process reads the weights as those of any other run.
    loaded = load_trained(run)
    assert loaded.weights == "ema"
    expected = tensors_of(whole)
    for name, value in loaded.model.state_dict().items():
        assert torch.allclose(value.double(), expected[f"ema.{name}"].double(), rtol=1e-5, atol=1e-6), name


@pytest.mark.heavy
@pytest.mark.parametrize("averaged", [True, False])
def test_scores_are_those_of_the_saved_weights(tmp_path: Path, averaged: bool):
    """Of 21 images in blocks of 16 one process has more than the other."""
    run = tmp_path / "run"
    words = [
        "ema.decay=0.5" if averaged else "ema=none", "precision.channels_last=true", "evaluation.batch_size=1",
        "selection.weights=best",
        "data.town_images=[8,21,2]",
    ]  # fmt: skip
    in_ranks(2, lambda ranks: trained(run, *words))
    scores = records(run, EvaluationRecord)
    assert [one.step for one in scores] == [2, 4]
    assert len(records(run, FinishedRecord)) == 1
    best = max(scores, key=lambda one: one.miou)
    (again,) = score_by_name(run, split=best.split, protocols=[best.protocol])
    assert again.images == 21
    assert again.miou == pytest.approx(best.miou, abs=1e-6)


@pytest.mark.heavy
def test_a_signal_saves_the_parts_of_all_and_the_run_goes_on_from_them(tmp_path: Path):
    words = [*UNSCORED, *AVERAGED, "schedule.kind=constant"]

    def work(ranks: Ranks) -> tuple[int, int]:
        import os
        import signal

        from pixelwise.training import loop

        step, taken = loop.train_step, [0]

        def counting(*arguments: Any, **options: Any) -> Any:
            taken[0] += 1
            if ranks.rank == 1 and taken[0] == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return step(*arguments, **options)

        loop.train_step = counting
        try:
            trained(tmp_path / "run", *words, "schedule.iterations=5")
        except PixelwiseError as error:
            return error.exit_code, taken[0]
        return 0, taken[0]

    assert in_ranks(2, work) == [(75, 3)] * 2
    in_ranks(2, lambda ranks: resume(tmp_path / "run"))
    in_ranks(2, lambda ranks: trained(tmp_path / "whole", *words, "schedule.iterations=5"))
    expected, found = tensors_of(tmp_path / "whole"), tensors_of(tmp_path / "run")
    assert [key for key, value in expected.items() if not torch.equal(value, found[key])] == []
    assert [one.sharded for one in records(tmp_path / "run", ProcessesRecord)] == [True, True]


@pytest.mark.heavy
def test_steps_that_are_not_finite_change_nothing_and_end_all_processes(tmp_path: Path):
    def work(ranks: Ranks) -> tuple[str, list[bool]]:
        from pixelwise.training import loop, step

        add, take, taken, unchanged = step.add_gradients, loop.train_step, [0], []

        def spoiling(recipe: Any, state: Any, *arguments: Any, **options: Any) -> Tensor:
            loss = add(recipe, state, *arguments, **options)
            taken[0] += 1
            if taken[0] > 2 and ranks.rank == 1:  # the gradient of one process's part alone
                parameter = next(iter(state.model.parameters()))
                parameter.grad.to_local().fill_(float("inf"))
            return loss

        def watching(recipe: Any, state: Any, *arguments: Any, **options: Any) -> Any:
            before = [part.detach().clone() for part in state.sharded.parts.values()]
            outcome = take(recipe, state, *arguments, **options)
            now = state.sharded.parts.values()
            unchanged.append(all(torch.equal(a, b) for a, b in zip(before, now, strict=True)))
            return outcome

        step.add_gradients, loop.train_step = spoiling, watching
        try:
            trained(tmp_path / "run", *UNSCORED, "schedule.iterations=20")
        except PixelwiseError as error:
            return error.code, unchanged
        return "", unchanged

    expected = [True, False, *5 * [True]]  # a warm-up begins with a learning rate of 0
    assert in_ranks(2, work) == [("T501", expected)] * 2
    found = read_exit(tmp_path / "run")
    assert found is not None
    assert found.code == "T501"
    assert (tmp_path / "run" / "checkpoints" / "step-00000007" / "training.safetensors").is_file()
