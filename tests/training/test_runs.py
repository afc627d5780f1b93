"""A run that is stopped in any way and resumed equals one that never stopped, bit for bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from observers import Told

from pixelwise.checkpoints.checkpoint import list_checkpoints, newest_checkpoint
from pixelwise.errors import CheckpointError, DataError, DivergedError, RecipeError, StoppedError
from pixelwise.observer import TrainingScore, TrainingStatus
from pixelwise.training import loop
from pixelwise.training import step as one_step
from pixelwise.training.runs import new_run_folder, resume, train


def records(run: Path, kind: str) -> list[dict]:
    """The log's records of one kind."""
    lines = (run / "log.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def step_losses(run: Path) -> dict[int, tuple[float, float]]:
    """Step -> (loss, gradient norm), exactly as logged; a step logged twice is a mistake."""
    steps = [(record["step"], (record["loss"], record["grad_norm"])) for record in records(run, "step")]
    assert len(dict(steps)) == len(steps)
    return dict(steps)


def final_hashes(run: Path) -> dict[str, str]:
    """SHA-256 of the weights, the average, the optimizer and the random state at the end."""
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return {name: record.sha256 for name, record in checkpoint.manifest.files.items() if name.endswith(".safetensors")}


def assert_same_run(run: Path, reference: Path) -> None:
    assert step_losses(run) == step_losses(reference)
    assert final_hashes(run) == final_hashes(reference)


def start(recipe: Path, data: Path, run: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from pixelwise.cli import entry; entry()", "train", str(recipe)]
    options = ["--data", str(data), "--output", str(run), "--threads", "1", "--no-evaluate"]
    return subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    """Until a checkpoint of at least `step` exists."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any(manifest.step >= step for _, manifest in list_checkpoints(run / "checkpoints")):
            return
        time.sleep(0.01)
    raise AssertionError(f"no checkpoint of step {step}: {process.communicate(timeout=5)[1]}")


@pytest.mark.heavy
def test_two_runs_of_a_recipe_are_equal(tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    told: list[TrainingScore] = []
    observer = Told(scored=told.append)
    again = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1, observer=observer)
    evaluations = [record["miou"] for record in records(again, "evaluation")]
    assert [(score.step, score.mious) for score in told] == [(8, tuple(evaluations[:1])), (16, tuple(evaluations))]
    assert sorted(step_losses(again)) == list(range(1, 17))
    assert_same_run(again, tiny_run)


@pytest.mark.heavy
def test_loader_processes_change_nothing(tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    again = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1, overrides=["data.workers=2"])
    assert_same_run(again, tiny_run)


@pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.heavy), pytest.param(9, marks=pytest.mark.fuzz)])
def test_C3_killed_with_sigkill_and_resumed_equals_uninterrupted(
    step: int, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    run = tmp_path / "run"
    process = start(tiny_recipe, tiny_data, run)
    wait_for_step(run, step, process)
    time.sleep(np.random.default_rng().uniform(0, 0.2))
    process.kill()
    process.communicate()
    resume(run)
    assert_same_run(run, tiny_run)


@pytest.mark.heavy
def test_a_network_that_learns_from_a_teacher_resumes_exactly_and_from_no_other(
    tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    teacher = Path(shutil.copytree(tiny_run, tmp_path / "teacher"))
    words = [f"teacher={teacher}", "match=dist", "sampling.seed=1"]
    whole = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "whole", threads=1, overrides=words)
    assert step_losses(whole) != step_losses(tiny_run)
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    shutil.rmtree(newest.path)
    moved = teacher.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError) as caught:
        resume(run)
    assert caught.value.code == "K420"
    with pytest.raises(CheckpointError, match="the weights of the teacher") as caught:
        resume(run, overrides=[f"teacher={whole}"])
    assert caught.value.code == "K452"
    resume(run, overrides=[f"teacher={moved}"])
    assert final_hashes(run) == final_hashes(whole)


@pytest.mark.heavy
def test_C6_sigterm_saves_at_the_step_boundary_and_exits_75(
    tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    run = tmp_path / "run"
    process = start(tiny_recipe, tiny_data, run)
    wait_for_step(run, 3, process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert f"pixelwise resume {run}" in stderr
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    # Everything that was done is saved, not only what the last regular checkpoint held.
    assert newest.step == max(step_losses(run))
    resume(run)
    assert_same_run(run, tiny_run)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "stop_at", [pytest.param(1, marks=pytest.mark.heavy), 8, pytest.param(15, marks=pytest.mark.heavy)]
)
def test_C6_ctrl_c_at_any_step_resumes_exactly(
    stop_at: int, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    def interrupt(status: TrainingStatus) -> None:
        if status.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    run = tmp_path / "run"
    with pytest.raises(StoppedError, match=rf"stopped after step {stop_at}, saved") as caught:
        train(
            str(tiny_recipe),
            data=tiny_data,
            output=run,
            threads=1,
            observer=Told(step=interrupt),
        )
    assert (caught.value.code, caught.value.exit_code) == ("I130", 130)
    resume(run)
    assert_same_run(run, tiny_run)


@pytest.mark.heavy
def test_stopped_during_an_evaluation_it_is_done_again(
    tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    def interrupt(what: str, done: int, total: int | None) -> None:
        if what == "evaluating" and done == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    run = tmp_path / "run"
    with pytest.raises(StoppedError, match=r"SIGTERM .*step 8\b") as caught:
        train(
            str(tiny_recipe),
            data=tiny_data,
            output=run,
            threads=1,
            observer=Told(progress=interrupt),
        )
    assert caught.value.code == "I075"
    resume(run)
    assert_same_run(run, tiny_run)
    assert [record["step"] for record in records(run, "evaluation")] == [8, 16]


@pytest.mark.heavy
def test_an_observer_can_stop_the_run_during_an_evaluation(
    tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path
):
    def stop(what: str, done: int, total: int | None) -> None:
        if what == "evaluating":
            raise StoppedError("I130", "enough", exit_code=130)

    run = tmp_path / "run"
    with pytest.raises(StoppedError, match="enough"):
        train(str(tiny_recipe), data=tiny_data, output=run, threads=1, observer=Told(progress=stop))
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    assert newest.step == 8
    resume(run)
    assert_same_run(run, tiny_run)


@pytest.mark.heavy
def test_killed_before_the_first_checkpoint_it_starts_over(
    tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    shutil.rmtree(run / "checkpoints")
    resume(run)
    assert_same_run(run, tiny_run)


def test_a_finished_run_resumes_to_itself(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    resume(run)
    assert_same_run(run, tiny_run)


@pytest.mark.heavy
def test_C4_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    weights = newest.path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    said: list[tuple[str, str]] = []
    resume(run, observer=Told(warn=lambda code, message: said.append((code, message))))
    assert said[0][0] == "W401"
    assert "step-00000016" in said[0][1]
    assert "model.safetensors" in said[0][1]
    assert "SHA-256" in said[0][1]
    assert_same_run(run, tiny_run)


def test_C8_another_experiment_is_refused_with_the_difference(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    with pytest.raises(CheckpointError, match=r"optimizer\.lr: 0\.005 -> 0\.1") as caught:
        resume(run, overrides=["optimizer.lr=0.1"])
    assert (caught.value.code, caught.value.exit_code) == ("K430", 4)


@pytest.mark.heavy
def test_C8_length_and_workers_may_change(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    resume(run, overrides=["schedule.iterations=18", "data.workers=1"])
    assert max(step_losses(run)) == 18


def test_other_data_is_refused_on_resume(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    run, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(tiny_run, run)
    shutil.copytree(tiny_data, data)
    (data / "images" / "train" / "00.png").write_bytes((data / "images" / "train" / "01.png").read_bytes())
    with pytest.raises(CheckpointError, match="fingerprint") as caught:
        resume(run, data=data)
    assert caught.value.code == "K431"


def test_other_class_names_are_refused_on_resume(tiny_run: Path, tiny_data: Path, tmp_path: Path):
    run, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(tiny_run, run)
    shutil.copytree(tiny_data, data)
    (data / "dataset.toml").write_text('classes = ["ball", "box", "ground"]\n', "utf-8")
    with pytest.raises(CheckpointError, match="the run has ground, box, ball") as caught:
        resume(run, data=data)
    assert caught.value.code == "K431"


def test_a_folder_that_holds_a_run_is_not_overwritten(tiny_run: Path, tiny_data: Path, tiny_recipe: Path):
    with pytest.raises(RecipeError) as caught:
        train(str(tiny_recipe), data=tiny_data, output=tiny_run)
    assert caught.value.code == "R213"
    assert str(tiny_run) in caught.value.message
    assert "`output`" in caught.value.help


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path):
    with pytest.raises(CheckpointError) as caught:
        resume(tmp_path)
    assert caught.value.code == "K420"
    assert str(tmp_path) in caught.value.message


def poisoned(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Let the loss of these steps (counted from 1) be NaN, forward pass and gradients included."""
    original = one_step.segmentation_loss
    calls = {"count": 0}

    def loss(*arguments: object, **options: object) -> torch.Tensor:
        calls["count"] += 1
        value = original(*arguments, **options)  # type: ignore[arg-type]
        return value * float("nan") if calls["count"] in steps else value

    monkeypatch.setattr(one_step, "segmentation_loss", loss)


@pytest.mark.heavy
def test_C1_a_non_finite_step_changes_no_weight_and_no_statistic(
    monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    seen: dict[int, dict[str, torch.Tensor]] = {}
    poisoned(monkeypatch, {7})
    original = loop.train_step

    def step(recipe, state, *rest, **options):
        before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
        outcome = original(recipe, state, *rest, **options)
        if outcome.kind == "bad":
            seen["before"], seen["after"] = before, state.model.state_dict()
            seen["after"] = {name: tensor.clone() for name, tensor in seen["after"].items()}
        return outcome

    monkeypatch.setattr(loop, "train_step", step)
    run = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1)
    assert all(torch.equal(seen["before"][name], seen["after"][name]) for name in seen["before"])
    assert sorted(step_losses(run)) == [step for step in range(1, 17) if step != 7]
    assert [(record["step"], len(record["images"])) for record in records(run, "skipped")] == [(7, 2)]
    assert [record["skipped"] for record in records(run, "finished")] == [1]
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    assert newest.state()["progress"]["skipped"] == 1


@pytest.mark.heavy
def test_C1_five_in_a_row_end_the_run_and_keep_the_batch(
    monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    poisoned(monkeypatch, set(range(8, 99)))
    with pytest.raises(DivergedError, match=r"step 12\b") as caught:
        train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1)
    assert (caught.value.code, caught.value.exit_code) == ("T501", 5)
    assert (tmp_path / "run" / "bad_batch.safetensors").is_file()
    newest = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert newest is not None
    weights = newest.tensors("model")
    assert all(tensor.isfinite().all() for tensor in weights.values() if tensor.is_floating_point())


@pytest.mark.heavy
def test_C1_steps_that_the_device_judges_end_in_the_same_weights_and_the_same_log(
    monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    made = []
    for name in ("host", "device"):
        poisoned(monkeypatch, {1, 7, 8})
        if name == "device":
            monkeypatch.setattr(one_step, "decides_on_device", lambda optimizer, device: bool(optimizer.state))
        changes = ["schedule.iterations=10", "selection.every_epochs=0", "selection.weights=last"]
        run = train(str(tiny_recipe), data=tiny_data, output=tmp_path / name, threads=1, overrides=changes)
        newest = newest_checkpoint(run / "checkpoints")
        assert newest is not None
        made.append((step_losses(run), records(run, "skipped"), newest.tensors("model"), newest.tensors("ema")))
        monkeypatch.undo()

    by_host, by_device = made
    assert [record["step"] for record in by_host[1]] == [1, 7, 8]
    assert by_device[:2] == by_host[:2]
    assert all(torch.equal(tensor, by_host[2][name]) for name, tensor in by_device[2].items())
    torch.testing.assert_close(by_device[3], by_host[3])


@pytest.mark.heavy
def test_C1_five_in_a_row_end_the_run_where_the_device_judges_too(
    monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    poisoned(monkeypatch, set(range(8, 99)))
    monkeypatch.setattr(one_step, "decides_on_device", lambda optimizer, device: bool(optimizer.state))
    with pytest.raises(DivergedError, match=r"step 12\b"):
        train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1)
    assert (tmp_path / "run" / "bad_batch.safetensors").is_file()
    newest = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert newest is not None
    assert all(tensor.isfinite().all() for tensor in newest.tensors("model").values() if tensor.is_floating_point())


@pytest.mark.heavy
def test_B6_a_batch_without_labels_changes_nothing_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    original = loop.train_step
    counter = {"step": 0}

    def step(recipe, state, head_logits, batches, weights, **options):
        counter["step"] += 1
        if counter["step"] == 4:
            batches = [batch._replace(labels=torch.full_like(batch.labels, 255)) for batch in batches]
        return original(recipe, state, head_logits, batches, weights, **options | {"labelled": None})

    monkeypatch.setattr(loop, "train_step", step)
    run = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1)
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    assert newest.state()["progress"]["void"] == 1
    assert 4 not in step_losses(run)


def test_a_file_that_vanishes_during_training_is_named(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)

    def remove(status: TrainingStatus) -> None:
        for path in (data / "images" / "train").glob("*.png"):
            path.unlink()

    with pytest.raises(DataError, match=r"images/train/\d\d\.png"):
        train(
            str(tiny_recipe),
            data=data,
            output=tmp_path / "run",
            threads=1,
            overrides=["data.cache=off"],
            observer=Told(step=remove),
        )
    assert newest_checkpoint(tmp_path / "run" / "checkpoints") is not None


@pytest.mark.heavy
def test_accumulation_uses_the_same_images_in_fewer_steps(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    run = train(
        str(tiny_recipe),
        data=tiny_data,
        output=tmp_path / "run",
        threads=1,
        overrides=[
            "sampling.accumulate=2",
            "schedule.iterations=4",
            "selection.every_epochs=0",
            "selection.weights=last",
        ],
    )
    assert sorted(step_losses(run)) == [1, 2, 3, 4]


def test_a_missing_device_is_named(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    with pytest.raises(RecipeError, match="'tpu'") as caught:
        train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", device="tpu")
    assert caught.value.code == "R214"


@pytest.mark.heavy
@pytest.mark.parametrize("assignment", ["hungarian", "fixed"])
def test_masks_and_their_classes_resume_exactly(assignment: str, tiny_data: Path, tmp_path: Path):
    changes = [
        "model.queries=8", "model.layers=2", "model.pixel_layers=1", "model.channels=32",
        f"loss.matching.assignment={assignment}", "loss.matching.points=64", "augment.crop=[64, 64]",
        "sampling.batch_size=2", "schedule.epochs=null", "schedule.iterations=4", "selection.every_epochs=0",
        "selection.weights=last",
    ]  # fmt: skip

    def interrupt(status: TrainingStatus) -> None:
        if status.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def trained(name: str, observer: Told) -> Path:
        return train(
            "generic-mask2former", data=tiny_data, output=tmp_path / name, threads=1, overrides=changes,
            observer=observer,
        )  # fmt: skip

    whole = trained("whole", Told())
    with pytest.raises(StoppedError):
        trained("run", Told(step=interrupt))
    resume(tmp_path / "run")
    assert sorted(step_losses(whole)) == [1, 2, 3, 4]
    assert final_hashes(tmp_path / "run") == final_hashes(whole)
    assert step_losses(tmp_path / "run") == step_losses(whole)


@pytest.mark.heavy
@pytest.mark.parametrize("views", [0, 2])
def test_a_decoder_on_a_frozen_transformer_resumes_exactly(views: int, tiny_data: Path, tmp_path: Path):
    torch.manual_seed(0)
    weights = tmp_path / "vit.pth"
    torch.save(timm.create_model("vit_tiny_patch16_224", num_classes=0).state_dict(), weights)
    changes = [
        "model.encoder=vit_tiny_patch16_224", "model.queries=8", "model.blocks=2", "model.side=64",
        f"initialize.encoder={weights}", f"data.cache_features={views}", "loss.matching.points=64",
        "augment.crop=[64, 64]", "sampling.batch_size=2", "schedule.epochs=null", "schedule.iterations=4",
        "selection.every_epochs=0", "selection.weights=last",
    ]  # fmt: skip

    def interrupt(status: TrainingStatus) -> None:
        if status.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def trained(name: str, observer: Told) -> Path:
        return train(
            "generic-pmt", data=tiny_data, output=tmp_path / name, threads=1, overrides=changes, observer=observer
        )

    whole = trained("whole", Told())
    with pytest.raises(StoppedError):
        trained("run", Told(step=interrupt))
    resume(tmp_path / "run")
    assert sorted(step_losses(whole)) == [1, 2, 3, 4]
    assert final_hashes(tmp_path / "run") == final_hashes(whole)
    assert step_losses(tmp_path / "run") == step_losses(whole)


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.heavy), "bfloat16"])
def test_channels_last_resumes_exactly_too(dtype: str, tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    changes = [
        f"precision.dtype={dtype}",
        "precision.channels_last=true",
        "optimizer.kind=sgd",
        "schedule.iterations=8",
        "selection.every_epochs=0",
        "selection.weights=last",
    ]

    def interrupt(status: TrainingStatus) -> None:
        if status.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    whole = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "whole", threads=1, overrides=changes)
    with pytest.raises(StoppedError):
        train(
            str(tiny_recipe),
            data=tiny_data,
            output=tmp_path / "run",
            threads=1,
            overrides=changes,
            observer=Told(step=interrupt),
        )
    resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.heavy
@pytest.mark.parametrize("when", ["training", "evaluating"])
def test_new_statistics_before_evaluations_resume_exactly(
    when: str, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    def interrupt(status: TrainingStatus) -> None:
        if when == "training" and status.step == 11:
            os.kill(os.getpid(), signal.SIGINT)

    def interrupt_evaluation(what: str, done: int, total: int | None) -> None:
        if when == what and done == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def trained(name: str, observer: Told) -> Path:
        changes = ["selection.statistics_images=3"]
        return train(
            str(tiny_recipe), data=tiny_data, output=tmp_path / name, threads=1, overrides=changes, observer=observer
        )

    whole = trained("whole", Told())
    with pytest.raises(StoppedError):
        trained("run", Told(step=interrupt, progress=interrupt_evaluation))
    resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", whole)
    assert [record["miou"] for record in records(tmp_path / "run", "evaluation")] == [
        record["miou"] for record in records(whole, "evaluation")
    ]


@pytest.mark.heavy
def test_bfloat16_trains_to_finite_weights(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    changes = ["precision.dtype=bfloat16", "precision.channels_last=true", "schedule.iterations=3"]
    run = train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1, overrides=changes)
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    tensors = newest.tensors("model").values()
    assert all(tensor.isfinite().all() for tensor in tensors if tensor.is_floating_point())
    assert {tensor.dtype for tensor in tensors} == {torch.float32, torch.int64}


def test_a_new_run_gets_a_free_folder_with_a_valid_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "enet-1").mkdir(parents=True)
    assert new_run_folder("enet") == Path("runs/enet-2")
    assert new_run_folder("my:recipe.toml") == Path("runs/my_recipe-1")
    assert new_run_folder("a/b") == Path("runs/a_b-1")
