"""Training of one recipe with several seeds, one run after another, and what is done with all of them."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.api.evaluate import evaluate
from pixelwise.api.resume import resume
from pixelwise.api.several.seed_runs import SeedRuns, write_summary
from pixelwise.api.train import is_scored, train
from pixelwise.errors import RecipeError, StoppedError
from pixelwise.machine.launched import world_size
from pixelwise.observer import Observer
from pixelwise.recipes.asking import Named
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.result import Result
from pixelwise.records.run_folder import SEEDS, is_run, new_run_folder, read_recipe, refuse_occupied
from pixelwise.records.seeds.folder import read_seeds, record, require_runs, run_of, runs_within, write_seeds
from pixelwise.storage import printable
from pixelwise.storage.locks import run_lock
from pixelwise.storage.stores.addresses import place_of, recorded
from pixelwise.training.options import ResumeOptions, TrainOptions
from pixelwise.training.resuming.restoring import has_ended

_KEPT = ("minutes", "auto_batch", "device", "threads", "track", "evaluate", "shard", "devices", "nodes", "rendezvous", "restarts")  # fmt: skip  # noqa: E501
"""Options that are no part of the recipe."""
_OF_FIRST = ("minutes", "auto_batch")
"""Those whose answer the first run finds on this machine, and writes into its recipe."""


def train_seeds(
    named: Named, data: Path | None, output: Path | None, wanted: TrainOptions, observer: Observer
) -> SeedRuns:
    """Train a recipe once for each seed, and summarise the runs.

    Args:
        named: The recipe, or its name.
        data: Folder of the data set; None for synthetic data.
        output: Folder to create; None for the first free one of `runs/NAME-1`, `-2`, ...
        wanted: Options of the training, with `seeds`.
        observer: Receives what `train` tells.

    Raises:
        RecipeError: R213, the folder is occupied; R305, the seeds are wrong; R306, a launcher started this process.
        PixelwiseError: As `train`, of any of the runs. `resume` goes on with it, and then with the others.
    """
    _refuse_launched()
    seeds, overrides = wanted.several_seeds(), wanted.all_overrides()
    recipe = named if isinstance(named, Recipe) else find(named)
    apply_overrides(recipe, overrides)  # its errors are raised before anything is written
    folder = output if output is not None else new_run_folder(recipe.name)
    refuse_occupied(folder)
    options = {name: value for name, value in msgspec.to_builtins(wanted).items() if name in _KEPT}
    place = None if data is None else recorded(place_of(data))
    with run_lock(folder):
        refuse_occupied(folder)
        write_seeds(folder, record(recipe, seeds, overrides, place, options))
        try:
            _train_missing(folder, ResumeOptions(evaluate=wanted.evaluate), observer)
        except BaseException:
            if not runs_within(
                folder
            ):  # what was wrong with the first one is wrong with all: there is nothing to resume
                (folder / SEEDS).unlink(missing_ok=True)
            raise
    return SeedRuns(folder)


def resume_seeds(folder: Path, wanted: ResumeOptions, observer: Observer) -> SeedRuns:
    """Finish the runs in a folder: those that have finished are left as they are, those that are missing are trained.

    Raises:
        RecipeError: R306, a launcher started this process; R307, changes are asked for that would apply to some of the
            runs alone.
        PixelwiseError: As `resume` and `train`, of any of the runs.
    """
    _refuse_launched()
    if wanted.all_overrides():
        raise RecipeError(
            "R307",
            f"{printable(folder)} holds the runs of several seeds, of which some have finished; a change would make "
            "them runs of different recipes",
            f"resume it without changes; a single run can be changed: `pixelwise resume "
            f"{shlex.quote(printable(run_of(folder, read_seeds(folder).seeds[0])))} ...`",
        )
    with run_lock(folder):
        _train_missing(folder, wanted, observer)
    return SeedRuns(folder)


def evaluate_seeds(folder: Path, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
    """Score every run in a folder, and summarise them again; the results of `evaluate` for each run.

    Args:
        folder: The folder.
        arguments: Arguments of `pixelwise.evaluate` after the run.
        keywords: Its keywords.
    """
    found = [evaluate(run, *arguments, **keywords) for run in require_runs(folder)]
    if all(isinstance(one, (Result, list)) for one in found) and len(found) > 1 and _all_scored(folder):
        write_summary(folder)
    return found


def _refuse_launched() -> None:
    if world_size() > 1:
        raise RecipeError(
            "R306",
            "a launcher started several processes of this command, and `seeds` trains one run after another",
            "start it once, with `devices` for several processes; or one command with `seed` for each run",
        )


def _train_missing(folder: Path, wanted: ResumeOptions, observer: Observer) -> None:
    """Bring every run in a folder to its end, in the order of the seeds, and summarise them."""
    content = read_seeds(folder)
    for number, seed in enumerate(content.seeds, 1):
        run = run_of(folder, seed)
        if is_run(run):
            # Where the data was moved, finished runs are told, too.
            if wanted.data is not None or not has_ended(run) or (wanted.evaluate and not is_scored(run)):
                observer.note(f"seed {seed} ({number} of {len(content.seeds)})")
                with _resumed_together(folder):
                    resume(run, wanted, observer=observer)
            continue
        observer.note(f"seed {seed} ({number} of {len(content.seeds)})")
        with _resumed_together(folder):
            _train_one(folder, seed, wanted, observer)
    if wanted.data is not None:
        write_seeds(folder, msgspec.structs.replace(content, data=recorded(place_of(wanted.data))))
    if wanted.evaluate and _all_scored(folder):
        write_summary(folder)


@contextlib.contextmanager
def _resumed_together(folder: Path) -> Iterator[None]:
    """Context in which a run that is stopped says how all of them are continued."""
    try:
        yield
    except StoppedError as error:
        help = f"continue with: pixelwise resume {shlex.quote(printable(folder))}"
        raise StoppedError(error.code, error.message, help, error.exit_code) from error


def _train_one(folder: Path, seed: int, wanted: ResumeOptions, observer: Observer) -> None:
    """Train the run of a seed.

    The first one plans, as any run; the others take its plan as it stands, so that they differ in nothing but the seed.
    """
    content = read_seeds(folder)
    options = dict(content.options)
    begun = runs_within(folder)
    if begun:
        recipe, overrides = read_recipe(begun[0]), [f"sampling.seed={seed}"]
        options = {name: value for name, value in options.items() if name not in _OF_FIRST}
    else:
        recipe, overrides = content.resolved(folder), [*content.overrides, f"sampling.seed={seed}"]
    changed = {
        name: value
        for name in ("device", "track", "shard", "devices", "restarts")
        if (value := getattr(wanted, name)) not in (None, 0)
    }
    made = msgspec.convert(options | {"overrides": overrides, "evaluate": wanted.evaluate}, TrainOptions)
    data = wanted.data if wanted.data is not None else content.data
    train(recipe, data, run_of(folder, seed), msgspec.structs.replace(made, **changed), observer=observer)


def _all_scored(folder: Path) -> bool:
    """Whether every seed has a run with a score."""
    runs = runs_within(folder)
    return len(runs) == len(read_seeds(folder).seeds) and all(is_scored(run) for run in runs)
