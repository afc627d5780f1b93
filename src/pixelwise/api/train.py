"""`pixelwise.train`: training of a recipe, followed by its scores and its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pixelwise.api.default_observer import observer_or_display
from pixelwise.api.evaluate import evaluate
from pixelwise.api.live import keeping_page
from pixelwise.api.run import Run
from pixelwise.api.together import call_together, unlaunched
from pixelwise.checkpoints.trained import result_of
from pixelwise.machine.launched import is_first, world_size
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.ranks.starting import refuse_unfit
from pixelwise.recipes.asking import Named, recipe_and_data
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import in_words
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.environment import read_environment
from pixelwise.records.evaluations import find_result
from pixelwise.records.folds.division import division_of
from pixelwise.records.run_folder import REPORT, is_continued, new_run_folder, read_recipe, refuse_occupied
from pixelwise.records.status import keeping_status
from pixelwise.reports.run.page import write_report
from pixelwise.training import runs
from pixelwise.training.options import ResumeOptions, TrainOptions
from pixelwise.training.trackers.following import send_the_rest

if TYPE_CHECKING:
    from pixelwise.api.several.seed_runs import SeedRuns


@overload
def train(  # pyright: ignore[reportOverlappingOverload]
    recipe: Named,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    options: TrainOptions | None = None,
    *,
    seeds: int | Sequence[int],
    observer: Observer | None = None,
    **changes: Any,
) -> SeedRuns: ...
@overload
def train(
    recipe: Named,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    options: TrainOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> Run: ...
def train(
    recipe: Named,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    options: TrainOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> Run | SeedRuns:
    """Train a recipe, its stages first, score the result under every protocol of the recipe, and write the report.

    `train("photos", minutes=20)` trains the recipe `unet` on a folder of labelled images.

    Args:
        recipe: A recipe, its name, or the path of a `.toml` file; or the folder of the data set, for which the recipe
            `unet` is taken.
        data: Folder of the data set, where the first argument is a recipe; None for synthetic data.
        output: Run folder to create; None for the first free one of `runs/NAME-1`, `-2`, ...
        options: Options of the training; None for the defaults.
        observer: Receives phases, progress, the status after every step, and warnings. None shows them on a terminal
            or in a notebook; `pixelwise.Observer()` shows nothing.
        changes: Single fields of `TrainOptions`, such as `overrides=["optimizer.lr=0.02"]` or `evaluate=False`.

    With `devices=N`, that many processes of this host share every step, whose result is that of one process; see
    docs/cluster.md. Processes that a launcher such as `torchrun` started together train one run, too, and where it has
    started them again, they go on with it. With `seeds`, each seed has a run in `output/seed-0` and so on.

    Returns:
        The run: the path of its folder, which holds the resolved recipe, checkpoints, the log, results and report.html,
        and while it is trained live.html; with `.result`, `.log`, `.report`, `.predict(...)` and `.compare(...)`. With
        `seeds`, a `pixelwise.SeedRuns`.

    Raises:
        RecipeError: R200, the first argument is neither a recipe nor a folder; R228, it may be both; R305 to R306,
            `seeds` cannot be used so; others, the recipe, an option or the output folder cannot be used.
        CheckpointError: K440 to K451, the initial weights are not available or do not fit.
        DataError: The data is faulty, so that training on it would be wrong; see `pixelwise check`.
        ResourceError: S601 or S602, there is not enough disk space; S605, there is not enough memory for a step.
        RunLockedError: Another process is using `output`.
        StoppedError: A signal stopped the training; `resume` continues it.
        DivergedError: T501, five non-finite steps in a row.
    """
    wanted = in_words(chosen(TrainOptions, options, changes))
    named, folder = recipe_and_data(recipe, data)
    if wanted.several_seeds():
        return _by_seeds(named, folder, output, wanted, observer)
    if wanted.devices is not None and world_size() == 1:
        return _by_several(named, folder, output, wanted, observer)
    refuse_unfit(wanted, wanted.device)
    if output is not None and is_continued(Path(output)):
        from pixelwise.api.resume import resume_run  # which concludes as this function does

        return resume_run(Path(output), ResumeOptions(evaluate=wanted.evaluate), observer)
    if not is_first():
        return _accompanying(runs.train(named, folder, output, wanted), wanted)
    with observer_or_display(observer) as watcher, keeping_page(watcher, output) as kept:
        run = runs.train(named, folder, output, wanted, observer=kept)
        if wanted.evaluate:
            conclude(run, kept)
    return Run(run)


def _accompanying(run: Path, wanted: TrainOptions) -> Run:
    """The run that this process has trained with others, of which the first one says everything."""
    if wanted.evaluate:
        accompany_scoring(run)
    return Run(run)


def _by_seeds(
    named: Named,
    data: Path | None,
    output: str | os.PathLike[str] | None,
    wanted: TrainOptions,
    observer: Observer | None,
) -> SeedRuns:
    """The runs of several seeds, one after another."""
    from pixelwise.api.several.seeds import train_seeds  # which trains each of them with `train`

    with observer_or_display(observer) as watcher:
        return train_seeds(named, data, None if output is None else Path(output), wanted, watcher)


def _by_several(
    named: Named,
    data: Path | None,
    output: str | os.PathLike[str] | None,
    wanted: TrainOptions,
    observer: Observer | None,
) -> Run:
    """The run that several processes of this host train."""
    refuse_unfit(wanted, wanted.device)
    wanted.require_output(output)
    name = named.name if isinstance(named, Recipe) else find(named).name
    # Chosen here, since processes that are started again go on with it.
    run = Path(output) if output is not None else new_run_folder(name)
    refuse_occupied(run)
    with observer_or_display(observer) as watcher:
        watcher.phase(f"starting {wanted.devices} processes")
        call_together("train", (named, data, run), {"options": unlaunched(wanted)}, wanted, watcher, run)
    return Run(run)


def is_scored(run: Path) -> bool:
    """Whether the result of a run has a score under every protocol of its recipe, and a report."""
    recipe = read_recipe(run)
    checkpoint, weights = result_of(run, recipe)
    found = [find_result(run, recipe.evaluation.split, protocol) for protocol in recipe.evaluation.protocols]
    if not has_images_to_score(run, recipe):
        return (run / REPORT).is_file()
    same = all(one is not None and one.weights_sha256 == checkpoint.sha256(weights) for one in found)
    return same and (run / REPORT).is_file()


def has_images_to_score(run: Path, recipe: Recipe) -> bool:
    """Whether there are labelled images to score a run by, and classes that it has learned, not features alone."""
    facts = read_data_facts(run)
    scored = recipe.evaluation.split in facts.splits or division_of(run) is not None
    return recipe.learns_classes and (not facts.unlabelled or scored)


def accompany_scoring(run: Path) -> None:
    """Take part in what the first process does in `conclude`."""
    recipe, device = read_recipe(run), read_environment(run).arguments.device
    if not has_images_to_score(run, recipe):
        return
    evaluate(run, protocol=recipe.evaluation.protocols, device=device, observer=SILENT)


def conclude(run: Path, observer: Observer) -> None:
    """Score a finished run under every protocol of its recipe, on its training device, and write its report.

    Its trackers receive both.
    """
    _score(run, observer)
    send_the_rest(run, read_environment(run).trackers, observer)


def _score(run: Path, observer: Observer) -> None:
    recipe = read_recipe(run)
    if not has_images_to_score(run, recipe):
        observer.phase("writing the report")
        write_report(run)
        return
    protocols = recipe.evaluation.protocols
    with keeping_status(run, observer, "scoring") as watched:
        evaluate(run, protocol=protocols, device=read_environment(run).arguments.device, observer=watched)
