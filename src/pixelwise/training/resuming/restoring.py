"""Restoring a run that is resumed: its data, its state and its history."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.checkpoints.checkpoint import newest_checkpoint, remove_later_checkpoints
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.samples import WITHOUT_MASKS, Dataset
from pixelwise.errors import CheckpointError
from pixelwise.machine.devices import choose_device
from pixelwise.observer import Observer
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Arguments, Environment, write_environment
from pixelwise.records.history import History, read_history, write_history
from pixelwise.records.log import FinishedRecord, WarningRecord, append_log, read_log
from pixelwise.records.run_folder import CHECKPOINTS, write_recipe
from pixelwise.records.standing import has_finished
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.storage.stores.addresses import place_of, recorded
from pixelwise.training.distillation.unlabelled import unlabelled_fingerprint
from pixelwise.training.options import ResumeOptions
from pixelwise.training.resuming.changes import (
    NOT_COMPARABLE,
    Course,
    past_parts,
    past_stages,
    refuse_other_experiment,
)
from pixelwise.training.setup import PreparedRun, held_against_data
from pixelwise.training.trackers.tracker import require_trackers


def refuse_other_data(dataset: Dataset, facts: DataFacts, run: Path) -> None:
    """Refuse data that is not the data the run began with.

    Raises:
        CheckpointError: K431, the fingerprints differ, or what the data says about its classes.
    """
    found = fingerprint(dataset, facts.splits)
    if found != facts.fingerprint:
        raise CheckpointError(
            "K431",
            f"the data in {printable(dataset.root)} is not the data {printable(run)} began with: fingerprint "
            f"{found[:12]}..., expected {facts.fingerprint[:12]}...",
            "restore the data, or start a new run",
        )
    further = unlabelled_fingerprint(dataset)
    if further != facts.unlabelled_fingerprint:
        number = len(dataset.splits.get(WITHOUT_MASKS, ()))
        raise CheckpointError(
            "K431",
            f"the {counted(number, 'image')} without masks in {printable(dataset.root)} are not the "
            f"{facts.unlabelled} that {printable(run)} began with",
            "restore the data, or start a new run",
        )
    if facts.naming is not None and dataset.naming != facts.naming:
        raise CheckpointError(
            "K431",
            f"the files in {printable(dataset.root)} are those {printable(run)} began with, but what they say about "
            "the classes (their names, their order or the values of their masks) has changed since; the run has "
            f"{', '.join(map(printable, facts.classes))}",
            "restore dataset.toml or the other file that names the classes, or start a new run",
        )


def restore(prepared: PreparedRun, run: Path, observer: Observer) -> Recipe | None:
    """Restore the state from the newest valid checkpoint, if there is one.

    Returns:
        The recipe that the checkpoint was trained under, whatever the run's file says by now; None if there is no
        checkpoint or it does not say.

    Raises:
        CheckpointError: K412, all checkpoints are damaged; K430, the run has done more steps than its recipe has, or
            its recipe was changed into that of another experiment.
    """
    checkpoint = newest_checkpoint(run / CHECKPOINTS, observer.warn)
    if checkpoint is None:
        return None
    plain = checkpoint.state().get("recipe")
    trained = from_plain(plain) if plain is not None else None
    if trained is not None:
        refuse_other_experiment(trained, prepared.recipe)
    if checkpoint.step > prepared.steps:
        raise CheckpointError(
            "K430",
            f"{printable(run)} has done {checkpoint.step} steps, but the changed schedule ends after {prepared.steps}",
            "choose a schedule that is at least as long as the steps already done",
        )
    prepared.state.restore(checkpoint)
    prepared.state.progress.resumes += 1
    remove_later_checkpoints(run / CHECKPOINTS, checkpoint.step)
    return trained


def updated_history(run: Path, before: Recipe, prepared: PreparedRun, observer: Observer) -> History:
    """The history of a restored run, with warnings about what it gains by being resumed.

    These are parts under another recipe (W510), and settings that do not fit the data any more.

    Args:
        run: The run folder.
        before: The recipe that the run was trained under so far.
        prepared: The run with its recipe from here on, restored.
        observer: Receives the warnings.
    """
    past, progress, recipe = read_history(run).parts, prepared.state.progress, prepared.recipe
    course = Course(progress.step, prepared.steps_per_epoch, progress.longest_stale)
    own = past_parts([part for part in past if not part.stage], before, recipe, course)
    parts = (*past_stages(run, recipe), *own)
    said = [("W510", f"{part.in_words}; {NOT_COMPARABLE}") for part in parts if part not in past]
    if recipe.schedule != before.schedule or recipe.selection != before.selection:
        said += [(one.code, one.sentence) for one in held_against_data(prepared)]
    append_log(run, [WarningRecord(step=progress.step, code=code, message=message) for code, message in said])
    for code, message in said:
        observer.warn(code, message)
    return History(parts=parts)


def record_resumption(run: Path, environment: Environment, before: Recipe, recipe: Recipe, history: History) -> None:
    """Write the environment of a resumed run, its history, and its recipe if it has changed."""
    write_environment(run, environment)
    write_history(run, history)  # before the recipe: whatever is stopped between them is not taken for undisturbed
    if recipe != before:
        write_recipe(run, recipe)


def continued(environment: Environment, wanted: ResumeOptions) -> Environment:
    """The environment of a run with the data, device, trackers and sharding of the options."""
    # Trackers that only the run names cause a warning later, not an error, if they are not available.
    require_trackers(wanted.track or ())
    arguments = Arguments(
        data=recorded(place_of(wanted.data)) if wanted.data is not None else environment.arguments.data,
        device=str(choose_device(wanted.device or environment.arguments.device)),
        shard=wanted.shard or environment.arguments.shard,
    )
    trackers = environment.trackers if wanted.track is None else tuple(dict.fromkeys(wanted.track))
    return msgspec.structs.replace(environment, arguments=arguments, trackers=trackers)


def has_ended(run: Path) -> bool:
    """Whether the training of a run has come to its end, so that there is nothing to resume."""
    log = read_log(run)
    if not has_finished(log):
        return False
    checkpoint = newest_checkpoint(run / CHECKPOINTS)
    # A damaged last checkpoint leaves steps to be repeated.
    return checkpoint is not None and checkpoint.step >= log.of(FinishedRecord)[-1].step
