"""Rows C of the fault list: what goes wrong while training. Each asserts code, names and exit status."""

import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from observers import Told

from pixelwise.checkpoints.checkpoint import list_checkpoints, newest_checkpoint
from pixelwise.storage.locks import run_lock
from pixelwise.training import batches as loading
from pixelwise.training import loop
from pixelwise.training import step as one_step
from pixelwise.training.runs import train

QUICK = ["selection.every_epochs=0", "selection.weights=last"]


@pytest.fixture
def copied_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be damaged."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def copied_data(tiny_data: Path, tmp_path: Path) -> Path:
    """Data that may be damaged."""
    return Path(shutil.copytree(tiny_data, tmp_path / "data"))


@pytest.mark.heavy
def test_C1_nan_in_five_steps_exits_5(
    monkeypatch: pytest.MonkeyPatch, run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    original = one_step.segmentation_loss
    monkeypatch.setattr(
        one_step, "segmentation_loss", lambda *arguments, **options: original(*arguments, **options) * float("nan")
    )
    code, _, stderr = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run"])
    assert code == 5
    assert re.search(r"error\[T501\]: 5 steps .*\bstep 5 ", stderr)
    assert "bad_batch.safetensors" in stderr
    assert "optimizer.lr" in stderr


@pytest.mark.heavy
@pytest.mark.parametrize("keep_share", [0.0, 0.5, 0.999])
def test_C4_a_truncated_newest_checkpoint_is_passed_over(keep_share: float, run_cli: Callable, copied_run: Path):
    newest = list_checkpoints(copied_run / "checkpoints")[-1][0]
    weights = newest / "training.safetensors"
    weights.write_bytes(weights.read_bytes()[: int(keep_share * weights.stat().st_size)])
    code, _, stderr = run_cli(["resume", copied_run])
    assert code == 0, stderr
    (warning,) = [line for line in stderr.splitlines() if "warning[W401]" in line]
    assert newest.name in warning
    assert "training.safetensors" in warning
    assert "step 15" in warning


def test_C4_when_all_checkpoints_are_damaged_the_run_is_refused(run_cli: Callable, copied_run: Path):
    for path, _ in list_checkpoints(copied_run / "checkpoints"):
        (path / "model.safetensors").unlink()
    code, _, stderr = run_cli(["resume", copied_run])
    assert code == 4
    assert "error[K412]" in stderr
    assert "model.safetensors" in stderr


@pytest.mark.heavy
def test_C5_a_full_disk_keeps_the_old_checkpoint_and_exits_6(
    run_cli: Callable, monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    original = loop.train_step

    def step(recipe, state, *rest, **options):
        if state.progress.step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
        return original(recipe, state, *rest, **options)

    monkeypatch.setattr(loop, "train_step", step)
    run = tmp_path / "run"
    try:
        code, _, stderr = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", run])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 6
    assert "error[S601]" in stderr
    assert "1.5 MB" in stderr
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    assert newest.step == 3
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000003"]


@pytest.mark.heavy
def test_C5_a_disk_too_small_for_three_checkpoints_is_refused_before_training(
    run_cli: Callable, monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    code, _, stderr = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run"])
    assert code == 6
    assert "error[S602]" in stderr
    assert re.search(r"3 checkpoints .*\b1\.0 MB", stderr)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_C6_signals_save_and_exit_with_their_status(
    number: signal.Signals,
    status: int,
    run_cli: Callable,
    monkeypatch: pytest.MonkeyPatch,
    tiny_data: Path,
    tiny_recipe: Path,
    tmp_path: Path,
):
    original = loop.train_step

    def step(recipe, state, *rest, **options):
        if state.progress.step == 1:
            os.kill(os.getpid(), number)
        return original(recipe, state, *rest, **options)

    monkeypatch.setattr(loop, "train_step", step)
    code, _, stderr = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run"])
    assert code == status
    if number is signal.SIGINT:  # what the user asked for is no error
        assert (
            stderr.splitlines()[-1]
            == f"stopped after step 2, saved; continue with: pixelwise resume {tmp_path / 'run'}"
        )
        assert "error" not in stderr
    else:
        assert f"error[I075]: stopped by {number.name} after step 2, saved" in stderr
        assert f"pixelwise resume {tmp_path / 'run'}" in stderr
    newest = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert newest is not None
    assert newest.step == 2


def test_C6_a_second_ctrl_c_stops_at_once(
    run_cli: Callable, monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    def step(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second signal did not interrupt")

    monkeypatch.setattr(loop, "train_step", step)
    code, _, _ = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run"])
    assert code == 130


def test_C8_a_changed_recipe_is_refused_with_the_difference(run_cli: Callable, copied_run: Path):
    code, _, stderr = run_cli(["resume", copied_run, "model.graph=overlapping", "sampling.batch_size=4"])
    assert code == 4
    assert "error[K430]" in stderr
    assert "model.graph: any-size -> overlapping; sampling.batch_size: 2 -> 4" in stderr


def killer(monkeypatch: pytest.MonkeyPatch, marker: Path, times: int) -> None:
    """Let the first `times` loader processes that read training sample 3 be killed."""
    original = loading.TrainingPairs.__getitem__
    parent = os.getpid()

    def get(self: loading.TrainingPairs, key: tuple[int, int]):
        deaths = len(marker.read_text()) if marker.exists() else 0
        if os.getpid() != parent and key[1] == 3 and deaths < times:
            with open(marker, "a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, key)

    monkeypatch.setattr(loading.TrainingPairs, "__getitem__", get)


@pytest.mark.heavy
def test_C9_a_killed_loader_process_is_replaced_and_the_run_stays_the_same(
    monkeypatch: pytest.MonkeyPatch, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    killer(monkeypatch, tmp_path / "deaths", times=2)
    said: list[str] = []
    run = train(
        str(tiny_recipe),
        data=tiny_data,
        output=tmp_path / "run",
        threads=1,
        overrides=["data.workers=1"],
        observer=Told(warn=lambda code, message: said.append(f"{code} {message}")),
    )
    died = [text for text in said if text.startswith("W603")]
    assert len(died) == 2
    assert "images/train/03.png" in died[0]
    assert "1 of 3" in died[0]
    first, second = (newest_checkpoint(folder / "checkpoints") for folder in (run, tiny_run))
    assert first is not None
    assert second is not None
    assert first.sha256("model") == second.sha256("model")


@pytest.mark.heavy
@pytest.mark.parametrize("lost", [ConnectionResetError(104, "reset"), EOFError(), FileNotFoundError(2, "socket")])
def test_C9_a_loader_process_killed_while_it_hands_over_a_batch_is_replaced(
    lost: Exception, monkeypatch: pytest.MonkeyPatch, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    original, failures = loading._loader, [lost]

    def loader(*arguments: Any) -> Iterator[Any]:
        for number, batch in enumerate(original(*arguments)):
            if number == 2 and failures:
                raise failures.pop()
            yield batch

    monkeypatch.setattr(loading, "_loader", loader)
    said: list[str] = []
    options: dict[str, Any] = {
        "data": tiny_data,
        "threads": 1,
        "observer": Told(warn=lambda code, _: said.append(code)),
    }
    run = train(str(tiny_recipe), output=tmp_path / "run", overrides=["data.workers=1"], **options)
    assert said.count("W603") == 1
    first, second = (newest_checkpoint(folder / "checkpoints") for folder in (run, tiny_run))
    assert first is not None
    assert second is not None
    assert first.sha256("model") == second.sha256("model")
    # Without other processes it is no such death.
    failures.append(lost)
    with pytest.raises(type(lost)):
        train(str(tiny_recipe), output=tmp_path / "alone", overrides=["data.workers=0"], **options)


@pytest.mark.heavy
def test_C9_a_loader_process_killed_during_a_training_step_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    original = loop.train_step

    def step(recipe, state, *rest, **options):
        if state.progress.step == 2:
            for child in multiprocessing.active_children():
                os.kill(child.pid, signal.SIGKILL)  # type: ignore[arg-type]
                child.join()
        return original(recipe, state, *rest, **options)

    monkeypatch.setattr(loop, "train_step", step)
    said: list[str] = []
    run = train(
        str(tiny_recipe),
        data=tiny_data,
        output=tmp_path / "run",
        threads=1,
        overrides=["data.workers=1"],
        observer=Told(warn=lambda code, message: said.append(code)),
    )
    assert said == ["W603"]
    first, second = (newest_checkpoint(folder / "checkpoints") for folder in (run, tiny_run))
    assert first is not None
    assert second is not None
    assert first.sha256("model") == second.sha256("model")


def test_C9_a_mistake_in_our_own_code_is_not_taken_for_a_dead_process(
    monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    def broken(self: loading.TrainingPairs, key: tuple[int, int]):
        raise RuntimeError("a bug")

    monkeypatch.setattr(loading.TrainingPairs, "__getitem__", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        train(str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1, overrides=["data.workers=1"])


@pytest.mark.heavy
def test_C9_loader_processes_that_keep_dying_end_the_run_with_the_files_named(
    monkeypatch: pytest.MonkeyPatch, run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    killer(monkeypatch, tmp_path / "deaths", times=99)
    command = ["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run", "data.workers=1"]
    code, _, stderr = run_cli(command)
    assert code == 6
    assert "error[S603]" in stderr
    assert "images/train/03.png" in stderr
    assert "data.workers=0" in stderr


@pytest.mark.heavy
def test_C10_a_failure_in_a_loader_process_names_the_file(
    run_cli: Callable, monkeypatch: pytest.MonkeyPatch, copied_data: Path, tiny_recipe: Path, tmp_path: Path
):
    original = loop.train_step

    def step(*arguments, **options):
        (copied_data / "images" / "train" / "05.png").unlink(missing_ok=True)
        return original(*arguments, **options)

    monkeypatch.setattr(loop, "train_step", step)
    code, _, stderr = run_cli(
        ["train", tiny_recipe, "--data", copied_data, "--output", tmp_path / "run", "data.workers=1", "data.cache=off"]
    )
    assert code == 3
    assert "images/train/05.png" in stderr
    assert "Traceback" not in stderr


@pytest.mark.heavy
def test_C12_a_folder_in_use_exits_7_and_says_by_whom(
    run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    with run_lock(tmp_path / "run"):
        code, _, stderr = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run"])
    assert code == 7
    assert "error[L701]" in stderr
    assert f"process {os.getpid()} " in stderr


@pytest.mark.heavy
def test_C14_a_batch_of_one_on_a_tiny_map_says_what_to_change(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    code, _, stderr = run_cli(
        [
            *("train", "unet-resnet18", "--data", tiny_data, "--output", tmp_path / "run"),
            *("sampling.batch_size=1", "augment.crop=[32,32]", "schedule.iterations=2", *QUICK),
        ]
    )
    assert code == 2
    assert "error[R212]" in stderr
    assert re.search(r"\bbatch .*\b1 .*\b32x32\b", stderr)
    assert "sampling.batch_size" in stderr


@pytest.mark.heavy
def test_a_start_that_failed_leaves_nothing_in_the_way(
    run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    command = ["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run", "--no-evaluate"]
    wrong = run_cli([*command, "sampling.batch_size=9", "sampling.drop_last=true"])
    assert wrong.code == 2
    assert not (tmp_path / "run").exists()
    assert run_cli([*command, "schedule.iterations=1"]).code == 0


@pytest.mark.heavy
def test_a_run_cannot_be_shortened_below_what_it_did(run_cli: Callable, copied_run: Path):
    before = (copied_run / "recipe.toml").read_text()
    code, _, stderr = run_cli(["resume", copied_run, "schedule.iterations=5"])
    assert code == 4
    assert "error[K430]" in stderr
    assert re.search(r"\b16 steps\b.*\b5\b", stderr)
    assert (copied_run / "recipe.toml").read_text() == before


def test_checkpoints_without_a_recipe_are_not_taken_over(
    run_cli: Callable, copied_run: Path, tiny_data: Path, tiny_recipe: Path
):
    (copied_run / "recipe.toml").unlink()
    code, _, stderr = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", copied_run])
    assert code == 2
    assert "error[R213]" in stderr


@pytest.mark.heavy
def test_C14_images_of_different_sizes_need_a_crop(
    run_cli: Callable, copied_data: Path, tiny_recipe: Path, tmp_path: Path
):
    from PIL import Image

    for folder in ("images", "masks"):
        path = copied_data / folder / "train" / "00.png"
        Image.open(path).crop((0, 0, 40, 40)).save(path)
    changes = ["augment.crop=none", "augment.scale=none", "augment.class_crop=0"]
    code, _, stderr = run_cli(["train", tiny_recipe, "--data", copied_data, "--output", tmp_path / "run", *changes])
    assert code == 2
    assert re.search(r"error\[R210\]: .*\b40x40, 48x64\b", stderr)
    assert "augment.crop" in stderr


def test_C14_more_images_per_batch_than_there_are_says_the_largest_size(
    run_cli: Callable, tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    changes = ["sampling.batch_size=9", "sampling.drop_last=true"]
    code, _, stderr = run_cli(["train", tiny_recipe, "--data", tiny_data, "--output", tmp_path / "run", *changes])
    assert code == 2
    assert re.search(r"error\[R211\]: 8 .*sampling\.batch_size=9", stderr)
    assert re.search(r"help: .*sampling\.batch_size .*\b8\b", stderr)


def test_a_run_logs_what_it_ran_with(tiny_run: Path):
    environment = json.loads((tiny_run / "environment.json").read_text())
    assert environment["versions"]["torch"]
    assert environment["machine"]["cores"] >= 1
    data = json.loads((tiny_run / "data.json").read_text())
    assert data["images"] == {"train": 8, "test": 3, "val": 3}
    assert len(data["fingerprint"]) == 64
