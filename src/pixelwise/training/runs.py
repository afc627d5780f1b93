"""Training runs from the recipe to the last checkpoint: `train` starts a run, `resume` continues it."""

from __future__ import annotations

import functools
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from pixelwise.datasets.samples import Dataset
from pixelwise.machine.devices import choose_device, recorded_name
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.machine.launched import launch
from pixelwise.machine.threads import default_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.plugins import packages_in_use
from pixelwise.ranks import Ranks
from pixelwise.ranks.joining import joined
from pixelwise.ranks.options import Sharding
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides, changes_between, field_of
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.schema.roles import is_in
from pixelwise.records.data_facts import read_data_facts, write_data_facts
from pixelwise.records.environment import Arguments, Environment, read_environment, write_environment
from pixelwise.records.history import History
from pixelwise.records.log import PlannedField, PlanRecord, PrecisionRecord, WarningRecord, append_log
from pixelwise.records.run_folder import has_checkpoints, new_run_folder, read_recipe, refuse_occupied, write_recipe
from pixelwise.records.status import keeping_status
from pixelwise.storage.locks import run_lock
from pixelwise.storage.stores.addresses import address_of, place_of, recorded
from pixelwise.training.announcing import announcement
from pixelwise.training.autotuning.format_choice import FormatChoice
from pixelwise.training.distillation.identity import with_teachers
from pixelwise.training.distillation.unlabelled import open_again
from pixelwise.training.optimization.adapters import is_divided
from pixelwise.training.options import ResumeOptions, TrainOptions
from pixelwise.training.planning.pace import measure
from pixelwise.training.planning.plan import Plan, Time, with_time_limit
from pixelwise.training.planning.plan import plan as plan_run
from pixelwise.training.precision import refuse_impossible
from pixelwise.training.resuming.changes import OPERATIONAL, refuse_other_experiment
from pixelwise.training.resuming.restoring import (
    continued,
    record_resumption,
    refuse_other_data,
    restore,
    updated_history,
)
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
from pixelwise.training.together.accompanying import accompany, leading, record_processes, tell_begin
from pixelwise.training.together.division import Division
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
        sharding: Whether each of several processes keeps only a part of the weights.
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
    sharding: Sharding
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
    device = choose_device(wanted.device)
    with joined(device) as ranks:
        if not ranks.first:
            return accompany(ranks, device)
        named = recipe.name if isinstance(recipe, Recipe) else find_recipe(recipe).name
        run = Path(output) if output is not None else new_run_folder(named)
        with leading(ranks, run):
            _train(recipe, data, run, wanted, device, observer, began, ranks)
        return run


def _train(
    recipe: str | os.PathLike[str] | Recipe,
    data: str | os.PathLike[str] | None,
    run: Path,
    wanted: TrainOptions,
    device: torch.device,
    observer: Observer,
    began: float,
    ranks: Ranks,
) -> None:
    overrides = wanted.all_overrides()
    resolved = apply_overrides(recipe if isinstance(recipe, Recipe) else find_recipe(recipe), overrides)
    resolved = with_time_limit(resolved, wanted.minutes, overrides)
    resolved = with_initial_weights(resolved, overrides, observer)
    if resolved.quantization != "none" and resolved.initialize.run is not None:
        resolved = msgspec.structs.replace(resolved, stages=())  # the network they would train is already there
    require_trackers(wanted.track)  # their errors are raised now, not after the data was examined
    plan = _Plan(
        recipe=resolved,
        words=(resolved.name if isinstance(recipe, Recipe) else os.fspath(recipe), *overrides),
        data=place_of(data) if data is not None else None,
        device=device,
        threads=wanted.threads or default_threads(),
        auto_batch=wanted.auto_batch,
        trackers=tuple(dict.fromkeys(wanted.track)),
        begins_with=last_stage(resolved),
        limit=Time(wanted.minutes, began),
        sharding=wanted.shard,
    )
    _begin(plan, run, observer, ranks)


def _begin(plan: _Plan, run: Path, observer: Observer, ranks: Ranks) -> None:
    """Create the run folder and train in it."""
    refuse_impossible(plan.recipe.precision, plan.device)
    with run_lock(run):
        refuse_occupied(run)
        use_processor(plan.device, plan.threads)
        settled = _settle(plan, run, observer, ranks)
        division = Division.of(settled.prepared.recipe, ranks)  # its errors are raised before anything is written
        prepared, facts = settled.prepared, settled.prepared.facts
        divided = is_divided(plan.sharding, prepared.state.model, ranks)
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
        observer.begin(announcement(prepared, run, plan.threads, settled.plan, division, divided=divided))
        append_log(run, [WarningRecord(step=0, code=one.code, message=one.sentence) for one in settled.unfit])
        record_processes(run, division, prepared, divided=divided)
        write_recipe(run, prepared.recipe)  # last, since its presence means that the run has begun
        if prepared.recipe.stages:
            _train_stages(prepared.recipe, run, environment, observer, ranks)
            # The run was prepared before its stages were trained; now it begins with the weights of the last one.
            begin = run / str(plan.begins_with)
            prepared = prepare_run(prepared.recipe, settled.dataset, facts, run, plan.device, observer, begin)
            environment = msgspec.structs.replace(environment, initial_weights=prepared.initial_weights)
            write_environment(run, environment)
        tell_begin(prepared, run, environment, ranks)
        work(prepared, run, environment, observer, ranks)


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


def _settle(plan: _Plan, run: Path, observer: Observer, ranks: Ranks) -> _Settled:
    """Examine the data, choose what the recipe leaves open, and build the run."""
    for stage in plan.recipe.stages:
        stage_recipe(plan.recipe, stage)
    dataset, facts, asked = look_at_data(plan.recipe, plan.data, observer, run)
    measured = functools.partial(measure, ranks=ranks)
    planned = plan_run(asked, dataset, facts, plan.device, plan.limit, observer, measured=measured)
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
    data = recorded(plan.data) if plan.data is not None else None
    # The recorded command repeats the choices made on this machine, too.
    words = (*plan.words, *changes_between(settled.asked, settled.prepared.recipe))
    return Environment(
        command=_command(words, plan.data, run),
        arguments=Arguments(data=data, device=recorded_name(plan.device), shard=plan.sharding),
        threads=plan.threads,
        auto_batch=plan.auto_batch,
        begins_with=plan.begins_with,
        initial_weights=settled.prepared.initial_weights,
        teachers=settled.prepared.teachers,
        machine=machine_facts(),
        versions=version_facts(),
        plugins=packages_in_use(),
        trackers=plan.trackers,
        launch=launch(),
    )


def _command(words: tuple[str, ...], data: Path | None, run: Path) -> str:
    """The command line of the run, quoted for a shell; `words` are the recipe and its overrides."""
    options = ["--data", address_of(data) or str(data)] if data is not None else []
    return shlex.join(["pixelwise", "train", words[0], *options, "--output", str(run), *words[1:]])


def _train_stages(
    recipe: Recipe,
    run: Path,
    environment: Environment,
    observer: Observer,
    ranks: Ranks,
    overrides: Sequence[str] = (),
) -> None:
    """Train the stages of a run to their end, with the run's data, device, threads and trackers.

    Args:
        recipe: The resolved recipe of the run.
        run: The run folder.
        environment: The environment of the run.
        observer: Receives phases, progress, the status after every step, and warnings.
        ranks: The processes that train together.
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
            sharding=environment.arguments.shard,
            is_stage=True,
        )
        _begin(plan, folder, observer, ranks)

    def go_on(folder: Path) -> None:
        observer.phase(f"stage {folder.name}")
        where = environment.arguments
        changes = ResumeOptions(
            overrides=machine,
            data=environment.data_folder,
            device=where.device,
            track=environment.trackers,
            shard=where.shard,
        )
        _resume(folder, changes, observer, ranks)

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
            data is not the data the run began with; K452, nor are the teachers.
    """
    wanted = chosen(ResumeOptions, options, changes)
    run = Path(run)
    read_recipe(run)  # its error says that the folder is not a run
    device = choose_device(wanted.device or read_environment(run).arguments.device)
    with joined(device) as ranks:
        if not ranks.first:
            return accompany(ranks, device)
        with leading(ranks, run):
            _resume(run, wanted, observer, ranks)
    return run


def _resume(run: Path, wanted: ResumeOptions, observer: Observer, ranks: Ranks) -> None:
    recipe = read_recipe(run)
    with run_lock(run):
        overrides = wanted.all_overrides()
        changed = with_teachers(apply_overrides(recipe, overrides), recipe, observer.warn)
        refuse_other_experiment(recipe, changed)
        environment = continued(read_environment(run), wanted)
        facts = read_data_facts(run)
        device = choose_device(environment.arguments.device)
        refuse_impossible(changed.precision, device)
        use_processor(device, environment.threads or default_threads())
        where = wanted.data if wanted.data is not None else environment.data_folder
        dataset = open_again(changed, where, facts, run)
        observer.phase("comparing the data with the run's")
        refuse_other_data(dataset, facts, run)
        begins = not has_checkpoints(run)
        if begins and changed.stages:
            # First, since the run may be stopped again in any of the stages.
            record_resumption(run, environment, recipe, changed, History())
            _train_stages(changed, run, environment, observer, ranks, overrides)
        begin = run / environment.begins_with if environment.begins_with is not None else None
        division = Division.of(changed, ranks)
        prepared = prepare_run(changed, dataset, facts, run, device, observer, begin)
        divided = is_divided(environment.arguments.shard, prepared.state.model, ranks)
        trained = restore(prepared, run, observer) or recipe
        if begins:
            environment = msgspec.structs.replace(environment, initial_weights=prepared.initial_weights)
        record_resumption(run, environment, recipe, changed, updated_history(run, trained, prepared, observer))
        record_processes(run, division, prepared, divided=divided)
        tell_begin(prepared, run, environment, ranks)
        work(prepared, run, environment, observer, ranks)
