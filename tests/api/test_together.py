"""Public functions that several processes carry out: what their caller sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pixelwise
from pixelwise.api.together import unlaunched
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.observer import Observer
from pixelwise.records.evaluations import find_result
from pixelwise.records.exits import Exit, read_exit
from pixelwise.records.log import FinishedRecord, ProcessesRecord, StepRecord, read_log
from pixelwise.training.options import TrainOptions


class Heard(Observer):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, tuple[Any, ...]]] = []

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def of(self, name: str) -> list[Any]:
        return [what[0] for one, what in self.events if one == name]


def _remembering(name: str) -> Any:
    return lambda self, *what: self.events.append((name, what))


for _name in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Heard, _name, _remembering(_name))


@pytest.mark.heavy
def test_two_processes_train_and_score_one_run(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    heard = Heard()
    run = pixelwise.train(
        str(tiny_recipe), tiny_data, tmp_path / "run", observer=heard, devices=2, overrides=["schedule.iterations=4"]
    )
    assert isinstance(run, pixelwise.Run)
    assert run == (tmp_path / "run")
    assert len(read_log(run).of(FinishedRecord)) == 1
    assert [one.step for one in read_log(run).of(StepRecord)] == [1, 2, 3, 4]
    assert read_log(run).of(ProcessesRecord) == [
        ProcessesRecord(step=0, world=2, hosts=1, division="split", device="cpu")
    ]
    result = find_result(run, "test", "native")
    assert result is not None
    assert (result.machine.processes, result.machine.hosts) == (2, 1)
    assert (run / "report.html").is_file()
    assert read_exit(run) == Exit()
    # Everything that the first process did was told, once, and in its order.
    assert [status.step for status in heard.of("step")] == [1, 2, 3, 4]
    assert "2 processes of 1 thread that take a part of every batch" in heard.of("begin")[0].machine
    phases = heard.of("phase")
    assert phases[0] == "starting 2 processes"
    assert phases.index("looking at the data") < phases.index("training") < phases.index("writing the report")
    # One process scores the same weights, and finds the same numbers.
    again = pixelwise.evaluate(run, observer=Observer())
    assert again.per_class == result.per_class
    assert again.machine.processes == 1


@pytest.mark.heavy
def test_an_error_of_the_processes_is_that_of_the_function(tmp_path: Path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="images") as caught:
        pixelwise.train("unet", tmp_path, tmp_path / "run", devices=2, observer=Observer())
    assert caught.value.code.startswith("D")
    assert caught.value.help


def test_what_needs_no_processes_is_refused_before_there_are_any(tiny_run: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="not a run folder"):
        pixelwise.resume(tmp_path, devices=2)
    with pytest.raises(RecipeError, match="model in memory") as caught:
        pixelwise.evaluate(pixelwise.load(tiny_run).model, tmp_path, devices=2)
    assert caught.value.code == "R238"
    with pytest.raises(RecipeError, match="`output` is not given"):
        pixelwise.train("unet", tmp_path, devices=2, nodes="2", rendezvous="localhost:29400")
    with pytest.raises(RecipeError, match="R213"):
        pixelwise.train("unet", tmp_path, tiny_run, devices=2)


@pytest.mark.heavy
def test_several_processes_score_a_run(tiny_run: Path, tmp_path: Path):
    expected = pixelwise.evaluate(tiny_run, protocol=["native", "multi-scale-flip"], observer=Observer())
    found = pixelwise.evaluate(
        tiny_run, protocol=["native", "multi-scale-flip"], options=EvaluateOptions(devices=3), observer=Observer()
    )
    for one, other in zip(expected, found, strict=True):
        assert other.machine.processes == 3
        assert repr(one.per_class) == repr(other.per_class)  # a precision that is not defined equals itself
        assert (one.miou, one.pixel_accuracy) == (other.miou, other.pixel_accuracy)


SMALL = [
    "dataset=town", "town_images=[12,4,2]", "town_size=[32,48]", "crop=[32,48]", "selection.every_epochs=2",
    "model.encoder=mobilenetv3_small_050", "sampling.batch_size=4", "precision.dtype=float32",
]  # fmt: skip


def command(*words: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(one for one in sys.path if one)
    return subprocess.Popen(
        [sys.executable, "-m", "pixelwise", *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(run: Path, step: int) -> None:
    end = time.monotonic() + 240
    while not (run.is_dir() and any(one.step >= step for one in read_log(run).of(StepRecord))):
        assert time.monotonic() < end, f"no step {step}"
        time.sleep(0.2)


def children(pid: int) -> list[int]:
    import psutil

    return [one.pid for one in psutil.Process(pid).children(recursive=True) if "pixelwise.api.process" in one.cmdline()]


@pytest.mark.heavy
def test_ctrl_c_saves_and_another_number_of_processes_goes_on(tmp_path: Path):
    run = tmp_path / "run"
    stopped = command("train", "unet-resnet18", *SMALL, "epochs=400", "-o", str(run), "--no-evaluate", "--devices", "2")
    wait_for(run, 4)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate(timeout=300)
    assert stopped.returncode == 130
    done = len(read_log(run).of(StepRecord))
    assert f"stopped after step {done}, saved; continue with: pixelwise resume".encode() in said
    assert said.count(b"stopping after this step") == 1
    assert b"Traceback" not in said
    assert b"torch/distributed" not in said
    goes_on = command("resume", str(run), f"schedule.iterations={done + 3}", "--no-evaluate", "--devices", "3")
    _, said = goes_on.communicate(timeout=300)
    assert goes_on.returncode == 0, said.decode()
    assert [one.step for one in read_log(run).of(StepRecord)] == list(range(1, done + 4))
    assert [(one.step, one.world) for one in read_log(run).of(ProcessesRecord)] == [(0, 2), (done, 3)]


@pytest.mark.heavy
def test_a_process_that_is_killed(tmp_path: Path):
    run = tmp_path / "run"
    words = ["train", "unet-resnet18", *SMALL, "epochs=400", "every_steps=2", "-o", str(run), "--no-evaluate"]
    killed = command(*words, "--devices", "2")
    wait_for(run, 4)
    os.kill(children(killed.pid)[-1], signal.SIGKILL)
    _, said = killed.communicate(timeout=300)
    assert killed.returncode == 6
    assert b"error[S610]" in said
    assert b"ended with SIGKILL" in said
    assert b"Traceback" not in said
    assert b"torch/distributed" not in said
    assert "pixelwise resume" in said.decode()


@pytest.mark.heavy
def test_nothing_trains_on_once_the_command_is_gone(tmp_path: Path):
    run = tmp_path / "run"
    gone = command("train", "unet-resnet18", *SMALL, "epochs=400", "-o", str(run), "--no-evaluate", "--devices", "2")
    wait_for(run, 2)
    left = children(gone.pid)
    assert len(left) >= 2
    gone.kill()
    gone.wait()
    end = time.monotonic() + 120
    while any(Path(f"/proc/{pid}").exists() for pid in left):
        assert time.monotonic() < end, "processes are left"
        time.sleep(0.5)
    found = read_exit(run)
    assert found is not None
    assert (found.code, found.exit_code) == ("I075", 75)


@pytest.mark.heavy
def test_nothing_trains_on_once_the_launcher_is_gone(tmp_path: Path):
    run = tmp_path / "run"
    words = ["train", "unet-resnet18", *SMALL, "epochs=400", "-o", str(run), "--no-evaluate"]
    left_alone = command(*words, "--devices", "2")
    wait_for(run, 2)
    launcher, *training = children(left_alone.pid)
    assert len(training) == 2
    os.kill(launcher, signal.SIGKILL)
    _, said = left_alone.communicate(timeout=300)
    assert left_alone.returncode == 75
    assert b"pixelwise resume" in said
    end = time.monotonic() + 120
    while any(Path(f"/proc/{pid}").exists() for pid in training):
        assert time.monotonic() < end, "processes are left"
        time.sleep(0.5)
    found = read_exit(run)
    assert found is not None
    assert (found.code, found.exit_code) == ("I075", 75)


def test_options_of_the_processes_start_no_others():
    options = TrainOptions(devices=4, nodes="2", rendezvous="a:1", restarts=3, epochs=7)
    assert unlaunched(options) == msgspec.structs.replace(TrainOptions(), epochs=7)
