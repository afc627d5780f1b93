"""Training runs from the recipe to the last checkpoint: `train` starts a run, `resume` continues it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.machine.devices import choose_device
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.machine.threads import default_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.plugins import packages_in_use
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides, changes_between, field_of
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.schema.roles import is_in
from pixelwise.records.data_facts import read_data_facts, write_data_facts
from pixelwise.records.environment import Arguments, Environment, read_environment, write_environment
from pixelwise.records.history import History, write_history
from pixelwise.records.log import (
    FinishedRecord,
    PlannedField,
    PlanRecord,
    PrecisionRecord,
    WarningRecord,
    append_log,
    read_log,
)
from pixelwise.records.run_folder import (
    CHECKPOINTS,
    has_checkpoints,
    new_run_folder,
    read_recipe,
    refuse_occupied,
    write_recipe,
)
from pixelwise.records.standing import has_finished
from pixelwise.records.status import keeping_status
from pixelwise.storage.locks import run_lock
from pixelwise.storage.stores.addresses import address_of, place_of, recorded
from pixelwise.training.announcing import announcement
from pixelwise.training.autotuning.format_choice import FormatChoice
from pixelwise.training.options import ResumeOptions, TrainOptions
from pixelwise.training.planning.plan import Plan, Time, with_time_limit
from pixelwise.training.planning.plan import plan as plan_run
from pixelwise.training.precision import refuse_impossible
from pixelwise.training.resuming.changes import OPERATIONAL, refuse_other_experiment
from pixelwise.training.resuming.restoring import refuse_other_data, restore, updated_history
from pixelwise.training.session import work
from pixelwise.training.settings.unfit import Unfit
from pixelwise.training.setup import (
    PreparedRun,
    held_against_data,
    look_at_data,
    prepare_run,
    use_processor,
    with_auto_batch,
    with_chosen_format,
    with_initial_weights,
)
from pixelwise.training.stages import last_stage, run_stages, stage_recipe
from pixelwise.training.trackers.tracker import require_trackers


class _Plan(NamedTuple):
    """The request for a run.

    Attributes:
        recipe: The recipe with its overrides.
        words: Recipe and overrides as they were given, for the recorded command.
        data: Folder of the data set; None for synthetic data.
        device: Device to train on.
        threads: Number of CPU threads per operation.
        auto_batch: Whether to choose the batch size.
        trackers: Names of the trackers.
        begins_with: Folder, relative to the run folder, of the run whose weights initialise this one as far as they
            fit; None for no other run.
        limit: Time that the run may take.
        is_stage: Whether it is a stage of another run, whose settings were held against the data before.
    """

    recipe: Recipe
    words: tuple[str, ...]
    data: Path | None
    device: torch.device
    threads: int
    auto_batch: bool
    trackers: tuple[str, ...]
    begins_with: str | None
    limit: Time
    is_stage: bool = False


def train(
    recipe: str | os.PathLike[str] | Recipe,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    options: TrainOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Path:
    """Train a recipe, its stages first; returns the run folder. The option `evaluate` has no effect here.

    Args:
        recipe: A recipe, its name, or the path of a `.toml` file.
        data: Folder of the data set; None for synthetic data.
        output: Run folder to create; None for the first free one of `runs/NAME-1`, `-2`, ...
        options: Options of the training; None for the defaults.
        observer: Receives phases, progress, the status after every step, and warnings.
        changes: Single fields of `options`.

    Raises:
        RecipeError: The recipe, an option or the output folder cannot be used.
        CheckpointError: K440 to K451, the initial weights are not available or do not fit.
        DataError: The data is faulty, so that training on it would be wrong; see `pixelwise check`.
        ResourceError: There is not enough disk space for the checkpoints, or (S605) not enough memory for a step.
        RunLockedError: Another process is using `output`.
        StoppedError: A signal stopped the training; `resume` continues it.
        DivergedError: T501, five non-finite steps in a row.
    """
    began = time.monotonic()
    wanted = chosen(TrainOptions, options, changes)
    overrides = wanted.all_overrides()
    resolved = apply_overrides(recipe if isinstance(recipe, Recipe) else find_recipe(recipe), overrides)
    resolved = with_time_limit(resolved, wanted.minutes, overrides)
    resolved = with_initial_weights(resolved, overrides, observer)
    if resolved.quantization != "none" and resolved.initialize.run is not None:
        resolved = msgspec.structs.replace(resolved, stages=())  # the network they would train is already there
    require_trackers(wanted.track)  # their errors are raised now, not after the data was examined
    run = Path(output) if output is not None else new_run_folder(resolved.name)
    plan = _Plan(
        recipe=resolved,
        words=(resolved.name if isinstance(recipe, Recipe) else os.fspath(recipe), *overrides),
        data=place_of(data) if data is not None else None,
        device=choose_device(wanted.device),
        threads=wanted.threads or default_threads(),
        auto_batch=wanted.auto_batch,
        trackers=tuple(dict.fromkeys(wanted.track)),
        begins_with=last_stage(resolved),
        limit=Time(wanted.minutes, began),
    )
    _begin(plan, run, observer)
    return run


def _begin(plan: _Plan, run: Path, observer: Observer) -> None:
    """Create the run folder and train in it."""
    refuse_impossible(plan.recipe.precision, plan.device)
    with run_lock(run):
        refuse_occupied(run)
        use_processor(plan.device, plan.threads)
        settled = _settle(plan, run, observer)
        prepared, facts = settled.prepared, settled.prepared.facts
        environment = _environment(plan, settled, run)
        write_environment(run, environment)
        write_data_facts(run, facts)
        if settled.choice is not None:
            choice = PrecisionRecord(step=0, chosen=settled.choice.message, milliseconds=settled.choice.milliseconds)
            append_log(run, [choice])
        if settled.plan.choices:
            choices = [
                PlannedField(field=one.field, value=one.value, reason=one.reason) for one in settled.plan.choices
            ]
            append_log(run, [PlanRecord(step=0, choices=tuple(choices))])
        observer.begin(announcement(prepared, run, plan.threads, settled.plan))
        append_log(run, [WarningRecord(step=0, code=one.code, message=one.sentence) for one in settled.unfit])
        write_recipe(run, prepared.recipe)  # last, since its presence means that the run has begun
        if prepared.recipe.stages:
            _train_stages(prepared.recipe, run, environment, observer)
            # The run was prepared before its stages were trained; now it begins with the weights of the last one.
            begin = run / str(plan.begins_with)
            prepared = prepare_run(prepared.recipe, settled.dataset, facts, run, plan.device, observer, begin)
            environment = msgspec.structs.replace(environment, initial_weights=prepared.initial_weights)
            write_environment(run, environment)
        work(prepared, run, environment, observer)


class _Settled(NamedTuple):
    """A plan after the data was examined and the machine's choices were made.

    Attributes:
        prepared: The run before its first step.
        dataset: The opened data set.
        asked: The recipe before anything was chosen on this machine.
        choice: The chosen number format, or None if the recipe names one.
        plan: What was chosen for the planned fields of the recipe.
        unfit: Settings that do not fit the data.
    """

    prepared: PreparedRun
    dataset: Dataset
    asked: Recipe
    choice: FormatChoice | None
    plan: Plan
    unfit: tuple[Unfit, ...]


def _settle(plan: _Plan, run: Path, observer: Observer) -> _Settled:
    """Examine the data, choose what the recipe leaves open, and build the run."""
    for stage in plan.recipe.stages:
        stage_recipe(plan.recipe, stage)
    dataset, facts, asked = look_at_data(plan.recipe, plan.data, observer)
    planned = plan_run(asked, dataset, facts, plan.device, plan.limit, observer)
    recipe, facts, choice = planned.recipe, planned.facts, None
    if plan.auto_batch:
        recipe = with_auto_batch(recipe, facts, plan.device, observer)
    if recipe.precision.dtype == "auto":
        choice = with_chosen_format(recipe, facts, plan.device, observer)
        recipe = choice.recipe
    begin = run / plan.begins_with if plan.begins_with is not None and not recipe.stages else None
    prepared = prepare_run(recipe, dataset, facts, run, plan.device, observer, begin)
    unfit = () if plan.is_stage else held_against_data(prepared)
    for one in unfit:
        observer.warn(one.code, one.sentence)
    return _Settled(prepared, dataset, asked, choice, planned, unfit)


def _environment(plan: _Plan, settled: _Settled, run: Path) -> Environment:
    # The recorded command repeats the choices made on this machine, too.
    words = (*plan.words, *changes_between(settled.asked, settled.prepared.recipe))
    return Environment(
        command=_command(words, plan.data, run),
        arguments=Arguments(data=recorded(plan.data) if plan.data is not None else None, device=str(plan.device)),
        threads=plan.threads,
        auto_batch=plan.auto_batch,
        begins_with=plan.begins_with,
        initial_weights=settled.prepared.initial_weights,
        machine=machine_facts(),
        versions=version_facts(),
        plugins=packages_in_use(),
        trackers=plan.trackers,
    )


def _command(words: tuple[str, ...], data: Path | None, run: Path) -> str:
    """The command line of the run, quoted for a shell; `words` are the recipe and its overrides."""
    recipe, *overrides = words
    options = ["--data", address_of(data) or str(data)] if data is not None else []
    return shlex.join(["pixelwise", "train", recipe, *options, "--output", str(run), *overrides])


def _train_stages(
    recipe: Recipe, run: Path, environment: Environment, observer: Observer, overrides: Sequence[str] = ()
) -> None:
    """Train the stages of a run to their end, with the run's data, device, threads and trackers.

    Args:
        recipe: The resolved recipe of the run.
        run: The run folder.
        environment: The environment of the run.
        observer: Receives phases, progress, the status after every step, and warnings.
        overrides: The changes with which the run is resumed. A stage that has begun has its own recipe, and gets those
            that concern only the use of the machine.
    """
    machine = tuple(one for one in overrides if is_in(field_of(one), OPERATIONAL))

    def begin(recipe: Recipe, folder: Path, before: str | None) -> None:
        observer.phase(f"stage {folder.name}")
        plan = _Plan(
            recipe=recipe,
            words=(recipe.name,),
            data=environment.data_folder,
            device=choose_device(environment.arguments.device),
            threads=environment.threads or default_threads(),
            auto_batch=environment.auto_batch,
            trackers=environment.trackers,
            begins_with=before,
            limit=Time(None, time.monotonic()),
            is_stage=True,
        )
        _begin(plan, folder, observer)

    def go_on(folder: Path) -> None:
        observer.phase(f"stage {folder.name}")
        where = environment.arguments
        changes = ResumeOptions(
            overrides=machine,
            data=environment.data_folder,
            device=where.device,
            track=environment.trackers,
        )
        resume(folder, changes, observer=observer)

    with keeping_status(run, observer, "stages"):
        run_stages(recipe, run, begin, go_on)


def resume(
    run: str | os.PathLike[str], options: ResumeOptions | None = None, *, observer: Observer = SILENT, **changes: Any
) -> Path:
    """Continue a run from its newest valid checkpoint, or from step 0 if there is none.

    On the CPU in float32, with the same number of threads, the result is bit for bit that of an uninterrupted run,
    unless the length of training changes (W510). The option `evaluate` has no effect here.

    Args:
        run: The run folder.
        options: Settings that change from here on; None for no change.
        observer: Receives phases, progress, the status after every step, and warnings.
        changes: Single fields of `options`.

    Returns:
        The run folder.

    Raises:
        CheckpointError: K412, all checkpoints are damaged; K420, the folder is not a run; K423, a file of the folder is
            damaged; K430, a change would make it another experiment or end it before the steps it has done; K431, the
            data is not the data the run began with.
    """
    wanted = chosen(ResumeOptions, options, changes)
    run = Path(run)
    recipe = read_recipe(run)
    with run_lock(run):
        overrides = wanted.all_overrides()
        changed = apply_overrides(recipe, overrides)
        refuse_other_experiment(recipe, changed)
        environment = _continued(read_environment(run), wanted)
        facts = read_data_facts(run)
        device = choose_device(environment.arguments.device)
        refuse_impossible(changed.precision, device)
        use_processor(device, environment.threads or default_threads())
        where = wanted.data if wanted.data is not None else environment.data_folder
        dataset = open_dataset(changed.data, where)
        observer.phase("comparing the data with the run's")
        refuse_other_data(dataset, facts, run)
        begins = not has_checkpoints(run)
        if begins and changed.stages:
            # First, since the run may be stopped again in any of the stages.
            _record(run, environment, recipe, changed, History())
            _train_stages(changed, run, environment, observer, overrides)
        begin = run / environment.begins_with if environment.begins_with is not None else None
        prepared = prepare_run(changed, dataset, facts, run, device, observer, begin)
        trained = restore(prepared, run, observer) or recipe
        if begins:
            environment = msgspec.structs.replace(environment, initial_weights=prepared.initial_weights)
        _record(run, environment, recipe, changed, updated_history(run, trained, prepared, observer))
        work(prepared, run, environment, observer)
    return run


def has_ended(run: Path) -> bool:
    """Whether the training of a run has come to its end, so that there is nothing to resume."""
    log = read_log(run)
    if not has_finished(log):
        return False
    checkpoint = newest_checkpoint(run / CHECKPOINTS)
    # A damaged last checkpoint leaves steps to be repeated.
    return checkpoint is not None and checkpoint.step >= log.of(FinishedRecord)[-1].step


def _record(run: Path, environment: Environment, before: Recipe, recipe: Recipe, history: History) -> None:
    """Write the environment of a resumed run, its history, and its recipe if it has changed."""
    write_environment(run, environment)
    write_history(run, history)  # before the recipe: whatever is stopped between them is not taken for undisturbed
    if recipe != before:
        write_recipe(run, recipe)


def _continued(environment: Environment, wanted: ResumeOptions) -> Environment:
    """The environment of a run with the data, device and trackers of the options."""
    # Trackers that only the run names cause a warning later, not an error, if they are not available.
    require_trackers(wanted.track or ())
    arguments = Arguments(
        data=recorded(place_of(wanted.data)) if wanted.data is not None else environment.arguments.data,
        device=str(choose_device(wanted.device or environment.arguments.device)),
    )
    trackers = environment.trackers if wanted.track is None else tuple(dict.fromkeys(wanted.track))
    return msgspec.structs.replace(environment, arguments=arguments, trackers=trackers)
