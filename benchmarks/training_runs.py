"""Trains and scores several runs in separate processes, several at once; finished runs are not repeated.

Used by `camvid_scratch.py` and `camvid_ablation.py`. The run folders are ordinary ones: a stopped run is resumed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.api.evaluate import evaluate
from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.machine.devices import choose_device
from pixelwise.machine.facts import machine_facts
from pixelwise.machine.threads import default_threads
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.evaluations import evaluation_folder
from pixelwise.records.result import RESULT, Result, load_result
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE, read_recipe
from pixelwise.training.runs import resume, train

SIDE_BY_SIDE = "side_by_side.json"
"""File in the run folder with the largest number of runs that shared the machine."""
SEQUENCES = "^[^_]+"
"""Regular expression for the drive in the name of a CamVid frame."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A run and the evaluations of its result.

    Attributes:
        name: Name of the run folder.
        recipe: Name of the recipe, or a recipe file.
        overrides: Changes to the recipe.
        scores: Splits and protocols. Each is scored in a separate pass, so that each has its own timing.
        device: Device, as in `--device`.
        workers: Data loading processes; None: those of the recipe.
        at_once: Number of runs that share the machine.
    """

    name: str
    recipe: str
    overrides: tuple[str, ...] = ()
    scores: tuple[tuple[str, str], ...] = ()
    device: str = "auto"
    workers: int | None = None
    at_once: int = 1

    def resolved(self) -> Recipe:
        """The recipe with the overrides applied."""
        return apply_overrides(find_recipe(self.recipe), self.overrides)


def run_jobs(jobs: Sequence[Job], data: Path, work: Path, *, limit_seconds: float | None = None) -> list[str]:
    """Finish every job, `job.at_once` of them at a time.

    Args:
        jobs: Jobs in the order in which they start.
        data: Folder of the data set.
        work: Folder for the run folders and the log of each process.
        limit_seconds: Time after which runs are asked to save and stop; None: no limit.

    Returns:
        Names of the jobs that are not finished.
    """
    deadline = time.monotonic() + limit_seconds if limit_seconds is not None else None
    work.mkdir(parents=True, exist_ok=True)
    waiting = [job for job in jobs if not is_finished(job, work)]
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while running or waiting:
            if deadline is not None and time.monotonic() > deadline:
                break
            while waiting and len(running) < waiting[0].at_once:
                job = waiting.pop(0)
                print(f"{job.name}: started", flush=True)
                running[job.name] = _start(job, data, work)
            time.sleep(0.2)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                print(f"{name}: {'done' if code == 0 else f'ended with status {code}, see {name}.log'}", flush=True)
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)  # makes the run save its state
        for process in running.values():
            process.wait()
    return [job.name for job in jobs if not is_finished(job, work)]


def is_finished(job: Job, work: Path) -> bool:
    """Whether the run in `work` has done all steps of exactly this recipe and has every score.

    Raises:
        SystemExit: The folder holds a run of another recipe.
    """
    run = work / job.name
    if not (run / RECIPE).is_file():
        return False
    wanted = job.resolved()
    if not fills_in(msgspec.to_builtins(read_recipe(run)), msgspec.to_builtins(wanted)):
        raise SystemExit(f"{run} holds a run of a recipe other than {job.recipe} {' '.join(job.overrides)}")
    newest = newest_checkpoint(run / CHECKPOINTS)
    if newest is None or wanted.schedule.iterations is None or newest.step < wanted.schedule.iterations:
        return False
    return all((evaluation_folder(run, split, name) / RESULT).is_file() for split, name in job.scores)


def fills_in(found: object, wanted: object) -> bool:
    """Whether the recipe of a run is the wanted one, whose open fields the run has filled in.

    Args:
        found: The recipe of the run, as built-in types.
        wanted: The recipe with which it began; None, an empty text and `default` leave a field open.
    """
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(fills_in(found[name], wanted[name]) for name in found)
    return found == wanted or wanted in (None, "", "default")


def result_of(job: Job, work: Path, split: str, protocol: str) -> Result:
    """A score of a finished job.

    Raises:
        SystemExit: The score does not belong to the run's last step.
    """
    result = load_result(evaluation_folder(work / job.name, split, protocol))
    if result.step != job.resolved().schedule.iterations or result.recipe_hash != read_recipe(work / job.name).hash():
        raise SystemExit(f"{work / job.name}: the {protocol} score does not belong to the finished run; remove it")
    return result


def side_by_side(run: Path) -> int:
    """Largest number of runs that shared the machine."""
    path = run / SIDE_BY_SIDE
    return msgspec.json.decode(path.read_bytes(), type=int) if path.is_file() else 1


def loading_workers(device: str, at_once: int) -> int | None:
    """Data loading processes for each of several runs on one GPU; None to leave the choice to the recipe."""
    if at_once == 1 or choose_device(device).type == "cpu":
        return None
    return max(1, machine_facts().cores // at_once - 1)


def _start(job: Job, data: Path, work: Path) -> subprocess.Popen[bytes]:
    threads = min(default_threads(), max(1, machine_facts().cores // job.at_once))
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    words = [sys.executable, str(Path(__file__).resolve()), msgspec.json.encode(job).decode(), str(data), str(work)]
    with open(work / f"{job.name}.log", "ab") as log:
        return subprocess.Popen(words, stdout=log, stderr=log, env=environment)


def work_on(job: Job, data: Path, work: Path) -> None:
    """Train or resume, then score, in this process."""
    run = work / job.name
    loading = () if job.workers is None else (f"data.workers={job.workers}",)
    if (run / RECIPE).is_file():
        resume(run, data=data, overrides=loading, device=None if job.device == "auto" else job.device)
    else:
        changed = apply_overrides(job.resolved(), loading)
        train(changed, data=data, output=run, device=job.device)
    (run / SIDE_BY_SIDE).write_bytes(msgspec.json.encode(max(job.at_once, side_by_side(run))))
    for split, protocol in job.scores:
        evaluate(run, split=split, protocol=protocol, device=job.device, group=SEQUENCES)


if __name__ == "__main__":
    work_on(msgspec.json.decode(sys.argv[1], type=Job), Path(sys.argv[2]), Path(sys.argv[3]))
