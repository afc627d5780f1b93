"""A run from its recipe to its last checkpoint: `train` starts one, `resume` continues it."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint, remove_later_checkpoints
from pixelwise.checkpoints.initial_weights import initialize
from pixelwise.checkpoints.run_folder import CHECKPOINTS, DATA, ENVIRONMENT, RECIPE, read_recipe
from pixelwise.datasets.audit import audit, raise_for_errors
from pixelwise.datasets.class_weights import class_weights
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.evaluation.devices import choose_device
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.machine import machine_facts, version_facts
from pixelwise.models import SegmentationModel, build_model
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema import Recipe, to_plain
from pixelwise.storage import printable, write_bytes, write_text
from pixelwise.storage.atomic import remove_leftovers, require_space
from pixelwise.storage.locks import run_lock
from pixelwise.training.ema import build_average
from pixelwise.training.loading import TrainingPairs, fits_in_memory
from pixelwise.training.loop import Evaluated, Status, train_loop
from pixelwise.training.optimizers import build_optimizer
from pixelwise.training.order import steps_per_epoch
from pixelwise.training.schedules import total_steps
from pixelwise.training.signals import StopRequest, stop_on_signals
from pixelwise.training.state import TrainingState

# Fields that may differ when a run is continued; anything else would make it another experiment.
RESUMABLE_CHANGES = ("schedule.epochs", "schedule.iterations", "data.workers", "data.cache", "checkpoints")
Phase = Callable[[str, int, int], None]
"""Told of the work before the first step: what, how much is done, of how much."""
FREE_SPACE_FACTOR = 3
"""A run starts only when so many checkpoints fit on the disk: the newest, the one before it, the best."""


class RunObserver(msgspec.Struct, frozen=True):
    """Callables that watch a run; none of them changes it.

    Attributes:
        phase: Told of the work before and between the steps.
        status: Told of every step.
        warn: Told of everything that is not as it should be, with a code.
    """

    phase: Phase = lambda what, done, total: None
    status: Callable[[Status], None] = lambda status: None
    warn: Callable[[str, str], None] = lambda code, message: None


def train(
    recipe: str | Recipe,
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[str] = (),
    device: str = "auto",
    threads: int | None = None,
    observer: RunObserver | None = None,
) -> Path:
    """Train a recipe; returns the run folder.

    Args:
        recipe: A recipe, its name, or a `.toml` file.
        data: Folder of the data set; None for synthetic data.
        output: Run folder to create; None: `runs/NAME-1`, `-2`, ...
        overrides: `section.field=value` changes to the recipe.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None: OMP_NUM_THREADS where it is set, else one per core.
        observer: Watches.

    Raises:
        RecipeError: The recipe, the device or the output folder cannot be used.
        CheckpointError: K440 to K442, the initial weights cannot be had.
        DataError: The data would make training wrong; see `pixelwise check`.
        ResourceError: Not enough disk space for the checkpoints.
        RunLockedError: Another process works in `output`.
        StoppedError: A signal stopped it; `resume` continues.
        DivergedError: Five non-finite steps in a row.
    """
    resolved = apply_overrides(find_recipe(recipe) if isinstance(recipe, str) else recipe, overrides)
    run = Path(output) if output is not None else new_run_folder(resolved.name)
    chosen = choose_device(device)
    observer = observer or RunObserver()
    threads = threads or _threads()
    _refuse_quantization(resolved)
    with run_lock(run):
        if (run / RECIPE).exists() or any((run / CHECKPOINTS).glob("step-*")):
            raise RecipeError(
                "R213",
                f"{printable(run)} already holds a run",
                f"continue it with `pixelwise resume {printable(run)}`, or choose another --output",
            )
        torch.set_num_threads(threads)
        try:
            dataset, facts, resolved = look_at_data(resolved, Path(data) if data is not None else None, observer)
            prepared = _prepare(resolved, dataset, facts, run, chosen, observer)
        except PixelwiseError:
            _remove_if_unused(run)
            raise
        environment = {
            "command": _command(recipe, resolved, data, run, overrides),
            "arguments": {"data": str(Path(data).resolve()) if data is not None else None, "device": str(chosen)},
            "threads": threads,
            "initial_weights": {"encoder": resolved.initialize.encoder, "sha256": prepared.initial_weights_sha256},
            "machine": msgspec.to_builtins(machine_facts()),
            "versions": version_facts(),
        }
        write_bytes(run / ENVIRONMENT, _json(environment))
        write_bytes(run / DATA, _json(facts))
        write_text(run / RECIPE, to_toml(resolved))  # last: its presence says that the run has begun
        _work(prepared, run, observer)
    return run


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
        torch.set_num_threads(environment["threads"])
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
        prepared = _prepare(changed, dataset, facts, run, chosen, observer)
        _restore(prepared, run, observer)
        environment["arguments"] |= {"device": str(chosen)}
        if data is not None:
            environment["arguments"] |= {"data": str(Path(data).resolve())}
        write_bytes(run / ENVIRONMENT, _json(environment))
        if changed != recipe:
            write_text(run / RECIPE, to_toml(changed))
        _work(prepared, run, observer)
    return run


def look_at_data(recipe: Recipe, root: Path | None, observer: RunObserver) -> tuple[Dataset, dict[str, Any], Recipe]:
    """Open and audit the data, and settle what the recipe left open about it.

    Returns:
        The data set, its facts for `data.json` and the recipe with classes and palette filled in.

    Raises:
        DataError: An error that `data.allow` does not name.
    """
    observer.phase("opening the data", 0, 0)
    dataset = open_dataset(recipe.data, root)
    wanted = [recipe.data.train_split, recipe.evaluation.split]
    if recipe.selection.every_epochs:
        wanted.append(recipe.selection.split)
    splits = list(dict.fromkeys(wanted))
    for split in splits:
        dataset.samples(split)  # a missing split is said now, not after the training
    found = audit(
        dataset,
        splits=splits,
        progress=lambda done, total: observer.phase("looking at the data", done, total),
    )
    raise_for_errors(found, recipe.data.allow)
    for finding in found.findings:
        observer.warn(finding.code, finding.message)
    data = settled(recipe.data, dataset)
    # Opened as every later verb opens it, so that all of them see the same fingerprint.
    dataset = open_dataset(data, root)
    weights = class_weights(recipe.loss.class_weights, found.statistics[recipe.data.train_split])
    facts = {
        "dataset": dataset.name,
        "splits": splits,
        "images": {split: len(dataset.splits[split]) for split in splits},
        "fingerprint": fingerprint(dataset, splits),
        "class_weights": list(weights) if weights is not None else None,
        "classes": list(dataset.classes),
        # Pairs whose errors `data.allow` names are left out instead of failing in the middle of a run.
        "unusable": {split: list(ids) for split, ids in found.unusable.items() if ids},
        "largest_image": list(found.sizes.largest),
        "statistics": msgspec.to_builtins(found.statistics),
        "findings": msgspec.to_builtins(found.findings),
    }
    return dataset, facts, msgspec.structs.replace(recipe, data=data)


def new_run_folder(recipe_name: str) -> Path:
    """`runs/NAME-1`, or the next number that is free."""
    stem = Path(recipe_name).stem if recipe_name.endswith(".toml") else recipe_name
    number = 1
    while (folder := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return folder


class _Prepared(NamedTuple):
    """Everything the loop needs, built and found possible."""

    recipe: Recipe
    dataset: Dataset
    facts: dict[str, Any]
    state: TrainingState
    steps: int
    device: torch.device
    initial_weights_sha256: str | None


def _prepare(
    recipe: Recipe,
    dataset: Dataset,
    facts: dict[str, Any],
    run: Path,
    device: torch.device,
    observer: RunObserver,
) -> _Prepared:
    """Build model, average and optimizer, and refuse what cannot be trained, before anything is written."""
    observer.phase("building the network", 0, 0)
    dataset = dataset.without(facts["unusable"])
    samples = dataset.samples(recipe.data.train_split)
    steps = total_steps(recipe.schedule, steps_per_epoch(len(samples), recipe.sampling))
    torch.manual_seed(recipe.sampling.seed)
    model = build_model(recipe)
    # A run that has a checkpoint takes everything from there.
    begins = not any((run / CHECKPOINTS).glob("step-*"))
    if begins and recipe.initialize.encoder != "none":
        observer.phase(f"loading the initial weights {recipe.initialize.encoder}", 0, 0)
    initial_weights_sha256 = initialize(model, recipe.initialize) if begins else None
    model = model.to(device)
    if recipe.precision.channels_last:
        model = model.to(memory_format=torch.channels_last)
    average = build_average(model) if recipe.ema is not None else None
    state = TrainingState(model, average, build_optimizer(model, recipe.optimizer))
    bytes_per_checkpoint = sum(tensor.nbytes for tensor in model.state_dict().values()) * (4 if average else 3)
    require_space(run, FREE_SPACE_FACTOR * bytes_per_checkpoint, f"{FREE_SPACE_FACTOR} checkpoints")
    return _Prepared(recipe, dataset, facts, state, steps, device, initial_weights_sha256)


def _restore(prepared: _Prepared, run: Path, observer: RunObserver) -> None:
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


def _work(prepared: _Prepared, run: Path, observer: RunObserver) -> None:
    """Load the data and train to the end."""
    recipe, dataset, facts, state, steps, device, _ = prepared
    remove_leftovers(run)
    remove_leftovers(run / CHECKPOINTS)
    samples = dataset.samples(recipe.data.train_split)
    pairs = TrainingPairs(dataset, samples, recipe)
    finished = state.progress.step >= steps
    if not finished and fits_in_memory(samples, recipe, tuple(facts["largest_image"])):
        pairs.fill_cache(lambda done, total: observer.phase("decoding the images", done, total))
    workers = recipe.data.workers
    if workers is None:
        # On the CPU the network needs every core; a GPU leaves them to the data.
        workers = 0 if device.type == "cpu" else min(8, _cores())
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
) -> Callable[[SegmentationModel, StopRequest], Evaluated | None]:
    chosen = protocol(recipe.selection.protocol or recipe.evaluation.protocols[0])

    def evaluate(model: SegmentationModel, stop: StopRequest) -> Evaluated | None:
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
        if scored is None:
            return None
        return Evaluated(recipe.selection.split, chosen.name, scored.miou, scored.pixel_accuracy, scored.per_class_iou)

    return evaluate


def _refuse_quantization(recipe: Recipe) -> None:
    if recipe.quantization != "none":
        raise RecipeError(
            "R215",
            f"recipe '{recipe.name}' is quantization-aware ({recipe.quantization}), which this version cannot train",
            f"train the float network: pixelwise train {recipe.name.removesuffix('-qat')}, or set quantization=none",
        )


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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads() -> int:
    """OMP_NUM_THREADS where it is a number (its first, where it is a list), else one per core."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(first) if first.isdigit() and int(first) > 0 else _cores()


def _command(
    recipe: str | Recipe,
    resolved: Recipe,
    data: str | os.PathLike[str] | None,
    run: Path,
    overrides: Sequence[str],
) -> str:
    """The command line that does the same, quoted for a shell."""
    words = ["pixelwise", "train", recipe if isinstance(recipe, str) else resolved.name]
    if data is not None:
        words += ["--data", os.fspath(data)]
    return shlex.join([*words, "--output", os.fspath(run), *overrides])


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
