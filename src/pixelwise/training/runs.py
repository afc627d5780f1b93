"""A run from its recipe to its last checkpoint: `train` starts one, `resume` continues it."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint, remove_later_checkpoints
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.machine.devices import choose_device
from pixelwise.machine.facts import machine_facts, version_facts
from pixelwise.machine.memory import keep_freed_memory
from pixelwise.machine.threads import default_threads, usable_cores
from pixelwise.models import SegmentationModel
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides, changes_between, to_toml
from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.records.run_folder import CHECKPOINTS, DATA, ENVIRONMENT, LOG, RECIPE, read_recipe
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.atomic import remove_leftovers
from pixelwise.storage.locks import run_lock
from pixelwise.training.batches import TrainingPairs
from pixelwise.training.decoded_cache import keep_decoded
from pixelwise.training.format_choice import FormatChoice
from pixelwise.training.log import RunLog
from pixelwise.training.loop import Evaluated, out_of_patience, train_loop
from pixelwise.training.precision import refuse_impossible
from pixelwise.training.setup import (
    PreparedRun,
    RunObserver,
    look_at_data,
    prepare_run,
    refuse_without_run,
    with_auto_batch,
    with_chosen_format,
)
from pixelwise.training.signals import StopRequest, stop_on_signals
from pixelwise.training.stages import last_stage, run_stages, stage_recipe

# Fields that may differ when a run is continued; anything else would make it another experiment.
RESUMABLE_CHANGES = (
    "schedule.epochs", "schedule.iterations", "selection.patience", "data.workers", "data.cache", "checkpoints",
)  # fmt: skip


def train(
    recipe: str | Recipe,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[str] = (),
    device: str = "auto",
    threads: int | None = None,
    auto_batch: bool = False,
    observer: RunObserver | None = None,
) -> Path:
    """Train a recipe, its stages first; returns the run folder.

    Args:
        recipe: A recipe, its name, or a `.toml` file.
        data: Folder of the data set; None for synthetic data.
        output: Run folder to create; None: `runs/NAME-1`, `-2`, ...
        overrides: `section.field=value` changes to the recipe.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None: OMP_NUM_THREADS where it is set, else one per usable core.
        auto_batch: Choose the largest batch that fits into memory and accumulate to the recipe's images
            per step.
        observer: Watches.

    Raises:
        RecipeError: The recipe, the device or the output folder cannot be used.
        CheckpointError: K440 to K451, the initial weights cannot be had or do not fit.
        DataError: The data would make training wrong; see `pixelwise check`.
        ResourceError: Not enough disk space for the checkpoints, or S605, not enough memory for a step.
        RunLockedError: Another process works in `output`.
        StoppedError: A signal stopped it; `resume` continues.
        DivergedError: Five non-finite steps in a row.
    """
    resolved = apply_overrides(find_recipe(recipe) if isinstance(recipe, str) else recipe, overrides)
    if resolved.quantization != "none" and resolved.initialize.run is not None:
        resolved = msgspec.structs.replace(resolved, stages=())  # what they would train is at hand
    run = Path(output) if output is not None else new_run_folder(resolved.name)
    _begin(
        resolved,
        run,
        data=Path(data) if data is not None else None,
        device=choose_device(device),
        threads=threads or default_threads(),
        auto_batch=auto_batch,
        observer=observer or RunObserver(),
        words=[recipe if isinstance(recipe, str) else resolved.name, *overrides],
        begins_with=last_stage(resolved),
    )
    return run


def _begin(
    resolved: Recipe,
    run: Path,
    *,
    data: Path | None,
    device: torch.device,
    threads: int,
    auto_batch: bool,
    observer: RunObserver,
    words: Sequence[str],
    begins_with: str | None,
) -> None:
    """Make the run folder and train in it.

    Args:
        resolved: The recipe with its overrides.
        run: The folder.
        data: As in `train`, as are those that follow.
        device: Where.
        threads: Of the CPU.
        auto_batch: Whether the batch size is chosen.
        observer: Watches.
        words: Recipe and overrides as they were given, for the record.
        begins_with: Folder, relative to `run`, of the run whose weights this one begins with, as far as they fit.
    """
    refuse_without_run(resolved)
    refuse_impossible(resolved.precision, device)
    choice: FormatChoice | None = None
    with run_lock(run):
        _refuse_occupied(run)
        use_processor(device, threads)
        try:
            for stage in resolved.stages:
                stage_recipe(resolved, stage)
            dataset, facts, resolved = look_at_data(resolved, data, observer)
            asked = resolved
            if auto_batch:
                resolved = with_auto_batch(resolved, facts, device, observer)
            if resolved.precision.dtype == "auto":
                choice = with_chosen_format(resolved, facts, device, observer)
                resolved = choice.recipe
            # What comes before this run is not trained yet where it has stages: here it is only found possible.
            begin = run / begins_with if begins_with is not None and not resolved.stages else None
            prepared = prepare_run(resolved, dataset, facts, run, device, observer, begin)
        except PixelwiseError:
            _remove_if_unused(run)
            raise
        environment = {
            # Repeating the run repeats what was chosen on this machine, too.
            "command": _command([*words, *changes_between(asked, resolved)], data, run),
            "arguments": {"data": str(data.resolve()) if data is not None else None, "device": str(device)},
            "threads": threads,
            "auto_batch": auto_batch,
            "begins_with": begins_with,
            "initial_weights": _initial_weights(prepared),
            "machine": msgspec.to_builtins(machine_facts()),
            "versions": version_facts(),
        }
        write_text(run / ENVIRONMENT, json_text(environment))
        write_text(run / DATA, json_text(facts))
        if choice is not None:
            facts_of_choice = {"chosen": choice.message, "milliseconds": choice.milliseconds}
            RunLog(run / LOG).record("precision", 0, facts_of_choice)
        write_text(run / RECIPE, to_toml(resolved))  # last: its presence says that the run has begun
        if resolved.stages:
            _train_stages(resolved, run, environment, observer)
            prepared = prepare_run(resolved, dataset, facts, run, device, observer, run / str(begins_with))
            environment["initial_weights"] = _initial_weights(prepared)
            write_text(run / ENVIRONMENT, json_text(environment))
        _work(prepared, run, observer)


def _refuse_occupied(run: Path) -> None:
    if (run / RECIPE).exists() or any((run / CHECKPOINTS).glob("step-*")):
        raise RecipeError(
            "R213",
            f"{printable(run)} already holds a run",
            f"continue it with `pixelwise resume {printable(run)}`, or choose another --output",
        )


def _initial_weights(prepared: PreparedRun) -> dict[str, Any]:
    """What is recorded of the weights a run begins with."""
    return {
        "encoder": prepared.recipe.initialize.encoder,
        "sha256": prepared.initial_weights_sha256,
        "run": prepared.start._asdict() if prepared.start is not None else None,
    }


def _train_stages(recipe: Recipe, run: Path, environment: dict[str, Any], observer: RunObserver) -> None:
    """Bring the stages of a run to their end, with its data, device and threads."""
    arguments = environment["arguments"]
    data = Path(arguments["data"]) if arguments["data"] is not None else None

    def begin(recipe: Recipe, folder: Path, before: str | None) -> None:
        observer.phase(f"stage {folder.name}", 0, 0)
        _begin(
            recipe,
            folder,
            data=data,
            device=choose_device(arguments["device"]),
            threads=environment["threads"],
            auto_batch=environment.get("auto_batch", False),
            observer=observer,
            words=[recipe.name],
            begins_with=before,
        )

    def go_on(folder: Path) -> None:
        observer.phase(f"stage {folder.name}", 0, 0)
        resume(folder, data=data, device=arguments["device"], observer=observer)

    run_stages(recipe, run, begin, go_on)


def resume(
    run: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    data: str | os.PathLike[str] | None = None,
    device: str | None = None,
    observer: RunObserver | None = None,
) -> Path:
    """Continue a run from its newest valid checkpoint, or from step 0 where there is none.

    On the CPU in float32 with the same number of threads the result equals, bit for bit, that of a
    run that was never interrupted.

    Args:
        run: The run folder.
        overrides: Changes to the length, the data's workers and cache, or the checkpoints.
        data: Where the data is now; None: where it was.
        device: None: the device the run began on.
        observer: Watches.

    Raises:
        CheckpointError: K420 not a run, K412 all checkpoints damaged, K430 a change that would make
            it another experiment or end it before the steps it has done, K431 the data is not the
            data the run began with.
    """
    run = Path(run)
    recipe = read_recipe(run)
    observer = observer or RunObserver()
    with run_lock(run):
        changed = apply_overrides(recipe, overrides)
        _refuse_other_experiment(recipe, changed)
        environment = msgspec.json.decode((run / ENVIRONMENT).read_bytes())
        facts = msgspec.json.decode((run / DATA).read_bytes())
        chosen = choose_device(device or environment["arguments"]["device"])
        refuse_impossible(changed.precision, chosen)
        use_processor(chosen, environment["threads"])
        where = data if data is not None else environment["arguments"]["data"]
        dataset = open_dataset(changed.data, Path(where) if where is not None else None)
        observer.phase("comparing the data with the run's", 0, 0)
        found = fingerprint(dataset, facts["splits"])
        if found != facts["fingerprint"]:
            raise CheckpointError(
                "K431",
                f"the data in {printable(dataset.root)} is not what {printable(run)} began with: fingerprint "
                f"{found[:12]}..., expected {facts['fingerprint'][:12]}...",
                "restore the data, or start a new run",
            )
        environment["arguments"] |= {"device": str(chosen)}
        if data is not None:
            environment["arguments"] |= {"data": str(Path(data).resolve())}
        if changed.stages and not any((run / CHECKPOINTS).glob("step-*")):
            _train_stages(changed, run, environment, observer)
        begins_with = environment.get("begins_with")
        begin = run / begins_with if begins_with is not None else None
        prepared = prepare_run(changed, dataset, facts, run, chosen, observer, begin)
        _restore(prepared, run, observer)
        write_text(run / ENVIRONMENT, json_text(environment))
        if changed != recipe:
            write_text(run / RECIPE, to_toml(changed))
        _work(prepared, run, observer)
    return run


def use_processor(device: torch.device, threads: int) -> None:
    """Prepare this process for training: its threads, and memory that stays where it is.

    Args:
        device: Where the network trains.
        threads: Of the CPU.
    """
    torch.set_num_threads(threads)
    if device.type == "cpu":
        keep_freed_memory()


def new_run_folder(recipe_name: str) -> Path:
    """`runs/NAME-1`, or the next number that is free."""
    stem = Path(recipe_name).stem if recipe_name.endswith(".toml") else recipe_name
    number = 1
    while (folder := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return folder


def _restore(prepared: PreparedRun, run: Path, observer: RunObserver) -> None:
    """Bring the state to the newest valid checkpoint, if there is one."""
    checkpoint = newest_checkpoint(run / CHECKPOINTS, observer.warn)
    if checkpoint is None:
        return
    if checkpoint.step > prepared.steps:
        raise CheckpointError(
            "K430",
            f"{printable(run)} has done {checkpoint.step} steps, the changed schedule ends after {prepared.steps}",
            "give a length of at least the steps that are done",
        )
    prepared.state.restore(checkpoint)
    prepared.state.progress.resumes += 1
    remove_later_checkpoints(run / CHECKPOINTS, checkpoint.step)


def _work(prepared: PreparedRun, run: Path, observer: RunObserver) -> None:
    """Load the data and train to the end."""
    recipe, dataset, facts, state, steps, device, *_ = prepared
    remove_leftovers(run)
    remove_leftovers(run / CHECKPOINTS)
    samples = dataset.samples(recipe.data.train_split)
    pairs = TrainingPairs(dataset, samples, recipe)
    finished = state.progress.step >= steps or out_of_patience(recipe.selection, state.progress)
    if not finished:
        keep_decoded(pairs, recipe, tuple(facts["largest_image"]), observer.phase)
    workers = recipe.data.workers
    if workers is None:
        # On the CPU the network needs every core; a GPU leaves them to the data.
        workers = 0 if device.type == "cpu" else min(8, usable_cores())
    weights = facts["class_weights"]
    if not finished:
        observer.phase("training", 0, steps)
    # From here on a signal means: finish the step and save. Before, there was nothing to save.
    with stop_on_signals() as stop:
        train_loop(
            recipe,
            state,
            pairs,
            run,
            class_weights=None if weights is None else torch.tensor(weights, device=device),
            workers=workers,
            evaluate=_evaluator(recipe, dataset, device, observer),
            stop=stop,
            status=observer.status,
            warn=observer.warn,
        )


def _evaluator(
    recipe: Recipe, dataset: Dataset, device: torch.device, observer: RunObserver
) -> Callable[[SegmentationModel, StopRequest], Evaluated]:
    chosen = protocol(recipe.selection.protocol or recipe.evaluation.protocols[0])

    def evaluate(model: SegmentationModel, stop: StopRequest) -> Evaluated:
        scored = evaluate_model(
            model,
            dataset,
            recipe.selection.split,
            chosen,
            input_size=recipe.evaluation.input_size,
            batch_size=recipe.evaluation.batch_size,
            device=device,
            precision=recipe.precision,
            progress=lambda done, total: observer.phase("evaluating", done, total),
            should_stop=lambda: bool(stop),
        )
        return Evaluated(recipe.selection.split, chosen.name, scored.miou, scored.pixel_accuracy, scored.per_class_iou)

    return evaluate


def _refuse_other_experiment(recipe: Recipe, changed: Recipe) -> None:
    before, after = _flat(to_plain(recipe)), _flat(to_plain(changed))
    differing = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    forbidden = [key for key in differing if not key.startswith((*RESUMABLE_CHANGES, "published."))]
    if forbidden:
        shown = "; ".join(f"{key}: {before.get(key)} -> {after.get(key)}" for key in forbidden)
        raise CheckpointError(
            "K430",
            f"these changes would make it another experiment: {shown}",
            f"resume may change {', '.join(RESUMABLE_CHANGES)}; for anything else start a new run",
        )


def _flat(plain: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _remove_if_unused(run: Path) -> None:
    """Take away the folder of a run that never began, unless something else lies in it."""
    (run / "run.lock").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        run.rmdir()


def _command(words: Sequence[str], data: Path | None, run: Path) -> str:
    """The command line that does the same, quoted for a shell; `words` are the recipe and its overrides."""
    recipe, *overrides = words
    options = ["--data", str(data)] if data is not None else []
    return shlex.join(["pixelwise", "train", recipe, *options, "--output", str(run), *overrides])
