"""`pixelwise.crossval`: one network per fold, scored on the images that it has not seen; likely label mistakes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.api.default_observer import observer_or_display
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import ALL
from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError, ResourceError, StoppedError
from pixelwise.evaluation.folds.out_of_fold import Said, say
from pixelwise.evaluation.folds.pooling import joint_score
from pixelwise.evaluation.folds.ranking import rank
from pixelwise.observer import Observer
from pixelwise.options import chosen
from pixelwise.pages.fixing.queue import QUEUE
from pixelwise.ranks.starting import refuse_unfit
from pixelwise.recipes.asking import Named, recipe_and_data
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides, in_words
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.folds.cross_validation import (
    MISTAKES,
    OUT_OF_FOLD,
    CrossValidation,
    FoldRuns,
    forget_unbegun,
    read_cross_validation,
    write_cross_validation,
)
from pixelwise.records.folds.division import division_of
from pixelwise.records.folds.summary import JointScore, Summary, write_summary
from pixelwise.records.run_folder import is_run, new_run_folder, refuse_occupied
from pixelwise.reports.folds.page import write_folds_page
from pixelwise.reports.folds.terminal import SHOWN
from pixelwise.storage import printable, write_bytes
from pixelwise.storage.locks import run_lock
from pixelwise.storage.names import counted, distinct
from pixelwise.storage.stores.addresses import address_of, place_of, recorded
from pixelwise.training.folds.beginning import begin, fold_overrides
from pixelwise.training.folds.options import CrossvalOptions, refuse_other_changes, refuse_useless
from pixelwise.training.options import ResumeOptions


def crossval(
    recipe: Named,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    options: CrossvalOptions | None = None,
    *,
    observer: Observer | None = None,
    **changes: Any,
) -> Summary:
    """Train a network for each of several parts of the images, which it does not see, and score it on that part.

    Every labelled image, whatever its split, is held out once. Images of a series stay together, and every fold gets
    its share of the images of every class, as for `pixelwise.split`. A fold is an ordinary run, `OUT/fold-0` and so on,
    whose training opens none of the images that it holds out: no statistics, class weights, plan or selection of
    weights know them. Where a recipe selects the best of its weights, it does so by a part of the other folds.

    Args:
        recipe: A recipe, its name, or the path of a `.toml` file; or the folder of the data set, for which the recipe
            `unet` is taken.
        data: Folder of the data set, where the first argument is a recipe; None for synthetic data.
        output: Folder to create; None for the first free one of `runs/NAME-crossval-1`, `-2`, ...
        options: Number of folds and groups, and the options of each training; None for the defaults.
        observer: Receives phases, progress, the status after every step, and warnings. None shows them on a terminal
            or in a notebook; `pixelwise.Observer()` shows nothing.
        changes: Single fields of `CrossvalOptions`, such as `folds=3` or `overrides=["optimizer.lr=0.02"]`.

    Returns:
        The joint score of all images, that of each fold, and the likeliest label mistakes. The folder holds all of it:
        the runs, `out-of-fold/`, `label-mistakes/`, `summary.json` and `report.html`. `pixelwise.resume(folder)`
        goes on where it was stopped; `pixelwise.load(folder)` averages what the networks say.

    Raises:
        RecipeError: As `pixelwise.train`; R310, an option is of no use here; R311, the training would begin with
            weights that know the images; R312, DATA/queue.json would be replaced.
        DataError: As `pixelwise.train`; D221, there are fewer groups of images than folds.
        CheckpointError: As `pixelwise.train`.
        ResourceError: As `pixelwise.train`.
        RunLockedError: Another process is using `output`.
        StoppedError: A signal stopped a training; `resume` continues with it.
        DivergedError: T501, five non-finite steps in a row.
    """
    wanted = in_words(chosen(CrossvalOptions, options, changes))
    named, folder = recipe_and_data(recipe, data)
    base = named if isinstance(named, Recipe) else find(named)
    refuse_useless(wanted)
    refuse_unfit(wanted, wanted.device)
    place = Path(output) if output is not None else new_run_folder(f"{base.name}-crossval")
    where = None if folder is None else place_of(folder)
    if wanted.queue:
        refuse_other_queue(where, place)
    with observer_or_display(observer) as watcher, run_lock(place):
        refuse_occupied(place)
        begin(base, where, place, wanted, watcher)
        try:
            return _go_on(place, watcher)
        except PixelwiseError as error:
            if not isinstance(error, StoppedError):
                # What is wrong with the first fold is wrong with all: there is nothing to resume.
                forget_unbegun(place)
            raise


def resume_crossval(folder: Path, options: ResumeOptions, observer: Observer) -> Summary:
    """Go on with a cross-validation where it was stopped: finished folds stay as they are.

    Args:
        folder: Its folder.
        options: Where the data was moved, and the device; nothing else can change.
        observer: Receives phases, progress, the status after every step, and warnings.

    Raises:
        As `crossval`; RecipeError: R310, another option is given; CheckpointError: K431, the data has changed.
    """
    refuse_other_changes(options)
    with run_lock(folder):
        asked = read_cross_validation(folder)
        if options.data is not None:
            moved = recorded(place_of(options.data))
            asked = msgspec.structs.replace(asked, data=moved)
        if options.device is not None:
            asked = msgspec.structs.replace(asked, options={**asked.options, "device": options.device})
        _refuse_other_data(folder, asked)
        write_cross_validation(folder, asked)
        return _go_on(folder, observer, moved=options.data)


def refuse_other_queue(data: Path | None, output: Path) -> None:
    """Refuse to write `queue.json` where there is another one, or no folder of data.

    Raises:
        RecipeError: R312.
    """
    if data is None or address_of(data) is not None or not data.is_dir():
        raise RecipeError("R312", "`queue` needs a data folder on this machine", "leave `queue` out")
    if (data / QUEUE).exists():
        raise RecipeError(
            "R312",
            f"{printable(data / QUEUE)} exists already, and would be replaced",
            f"move it away, or leave `queue` out: {printable(output / MISTAKES / QUEUE)} is written in any case",
        )


def _refuse_other_data(folder: Path, asked: CrossValidation) -> None:
    recipe = apply_overrides(asked.base(folder), _options(asked).all_overrides())
    whole = open_dataset(recipe.data, None if asked.data is None else place_of(asked.data)).with_all()
    found = fingerprint(whole, [ALL])
    if found != asked.fingerprint:
        raise CheckpointError(
            "K431",
            f"the data in {printable(whole.root)} is not the data that {printable(folder)} has divided: fingerprint "
            f"{found[:12]}..., expected {asked.fingerprint[:12]}...",
            "restore the data, or begin a new cross-validation",
        )


def _options(asked: CrossValidation) -> CrossvalOptions:
    return msgspec.convert(asked.options, CrossvalOptions, dec_hook=lambda kind, value: kind(value))


def _go_on(folder: Path, observer: Observer, moved: Path | None = None) -> Summary:
    """Train what is left, then conclude."""
    asked = read_cross_validation(folder)
    runs, options = FoldRuns(folder, asked), _options(asked)
    for number, fold in enumerate(runs.names, start=1):
        if runs.results(fold) is not None and moved is None:
            continue
        observer.note(f"{fold} ({number} of {asked.folds})")
        try:
            _train(asked, runs.folder(fold), folder, options, observer, moved)
        except StoppedError as error:
            help = f"continue with: pixelwise resume {shlex.quote(printable(folder))}"
            raise StoppedError(error.code, error.message, help, error.exit_code) from error
    return conclude(folder, asked, runs, options, observer)


def _train(
    asked: CrossValidation, run: Path, folder: Path, options: CrossvalOptions, observer: Observer, moved: Path | None
) -> None:
    """Train a fold, or go on with it, and score it on what it holds out."""
    from pixelwise.api.resume import resume_run  # its module goes on with cross-validations, too
    from pixelwise.api.train import train

    if is_run(run):
        resume_run(run, ResumeOptions(data=moved, device=options.device), observer)
        return
    base = asked.base(folder)
    own = options.of_fold(fold_overrides(apply_overrides(base, options.all_overrides())))
    train(base, None if asked.data is None else place_of(asked.data), run, own, observer=observer)


def conclude(
    folder: Path, asked: CrossValidation, runs: FoldRuns, options: CrossvalOptions, observer: Observer
) -> Summary:
    """Predict every image by the network that has not seen it, add up the scores, and rank likely label mistakes."""
    output = folder / OUT_OF_FOLD
    divisions = [division_of(run) for run in runs.folders]
    ids = [id for one in divisions if one is not None for id in one.held_out]
    names = dict(zip(ids, distinct(ids, endings=(".png",)), strict=True))
    said = []
    for run in runs.folders:
        observer.phase(f"predicting what {run.name} has not seen")
        said.append(say(run, output, names, observer, device=options.device))
    results = [runs.results(fold) for fold in runs.names]
    complete = [found for found in results if found is not None]
    if len(complete) < len(results):
        raise AssertionError("every fold was scored")
    scores = tuple(joint_score(runs.folders, found, options.group) for found in zip(*complete, strict=True))
    mistakes, earlier = None, _content(folder / MISTAKES / QUEUE)
    if any(one.sure for one in said):
        mistakes = rank(runs.folders, said, output, folder / MISTAKES, crops=options.crops, observer=observer)
    remarks = _remarks(asked, scores, said, mistakes is None)
    if mistakes and options.queue and asked.data is not None:
        remarks += hand_over(folder / MISTAKES / QUEUE, place_of(asked.data), earlier)
    summary = Summary(
        folder=os.fspath(folder),
        name=asked.name,
        data=asked.data,
        folds=asked.folds,
        images=asked.images,
        left_out=asked.left_out,
        seed=options.seed or 0,
        scores=scores,
        regions=None if mistakes is None else len(mistakes),
        images_with_mistakes=len({one.image for one in mistakes or ()}),
        mistakes=tuple((mistakes or [])[: max(options.crops, SHOWN)]),
        remarks=tuple(remarks),
    )
    observer.phase("writing the report")
    write_folds_page(folder, summary)
    write_summary(folder, summary)
    if mistakes:
        observer.warn("W320", summary.regions_in_words())
    return summary


def hand_over(queue: Path, data: Path, earlier: bytes | None) -> list[str]:
    """Write the queue into the data folder, but never in the place of another one.

    Args:
        queue: The queue of this cross-validation.
        data: The data folder.
        earlier: The content of `queue` when it was last written, which may be replaced; None if it was not.

    Returns:
        What has to be said about it, as sentences; the scores do not depend on it, so that nothing is raised.
    """
    target, content = data / QUEUE, queue.read_bytes()
    try:
        there = _content(target)
        if there not in (None, earlier, content):
            reason = "there is another one"
        else:
            if there != content:
                write_bytes(target, content)
            return []
    except ResourceError as error:
        reason = error.message
    except OSError as error:
        reason = error.strerror or type(error).__name__
    return [f"{printable(target)} was not written ({reason}); the same queue is {printable(queue)}."]


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _remarks(asked: CrossValidation, scores: Sequence[JointScore], said: Sequence[Said], unsure: bool) -> list[str]:
    found = [score.unlike_folds for score in scores if score.unlike_folds is not None]
    if 0 < asked.groups < asked.images:
        found.append(f"The {asked.images} images are of {counted(asked.groups, 'group')}, which no fold divides.")
    if 1 < scores[0].drawn < scores[0].images:
        found.append(
            f"Images of one group may be alike, so the interval draws {scores[0].drawn} groups, not the images."
        )
    if asked.series:
        found.append(
            f"The names of the images show {asked.series} series, which folds divide: if images of a series are alike, "
            "the score is too high (W265)."
        )
    if asked.left_out:
        belong = "belongs" if asked.left_out == 1 else "belong"
        found.append(f"{counted(asked.left_out, 'image')} could not be read and {belong} to no fold.")
    if unsure:
        found.append(
            "No label mistakes are ranked: that needs the probability of one class per pixel, which multi-label data "
            "and images that are scored in parts do not have."
        )
    elif (number := asked.images - sum(len(one.sure) for one in said)) > 0:
        are = "is" if number == 1 else "are"
        found.append(f"{counted(number, 'image')} {are} scored in parts and left out of the ranking of label mistakes.")
    return found
