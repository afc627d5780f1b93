"""Preparation of a run before its first step: examine the data, choose the batch size, build and check the network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from pixelwise.checkpoints.encoders.defaults import with_available_default
from pixelwise.checkpoints.encoders.normalisation import following_weights
from pixelwise.checkpoints.encoders.paths import identified, weights_path
from pixelwise.checkpoints.encoders.runs import derived_from
from pixelwise.checkpoints.hub.resolving import run_path, with_pinned_runs
from pixelwise.checkpoints.initial_weights import initialize
from pixelwise.checkpoints.starting import Start, begin_with_run
from pixelwise.datasets.auditing.audit import Audit, audit, raise_for_errors
from pixelwise.datasets.auditing.class_weights import class_weights
from pixelwise.datasets.auditing.statistics import with_measured_bands
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import settled
from pixelwise.datasets.samples import WITHOUT_MASKS, Dataset, Sample
from pixelwise.errors import RecipeError
from pixelwise.losses.mask_classification import assignment_solver
from pixelwise.machine.memory import keep_freed_memory
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.quantization.aware import quantization_aware
from pixelwise.observer import Observer
from pixelwise.recipes.lengths import steps_per_epoch, total_steps
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.data_facts import DataFacts, FindingFacts, SplitFacts
from pixelwise.records.environment import InitialWeights, StartedFrom, Teacher
from pixelwise.records.folds.division import division_of
from pixelwise.records.run_folder import has_checkpoints, read_recipe
from pixelwise.storage import printable
from pixelwise.storage.atomic import require_space
from pixelwise.training.autotuning.batch_size import auto_batch
from pixelwise.training.autotuning.format_choice import FormatChoice, choose_format
from pixelwise.training.distillation.identity import with_teachers
from pixelwise.training.distillation.unlabelled import (
    is_scored,
    learned_statistics,
    learning_without_labels,
    open_to_learn,
    unlabelled_fingerprint,
)
from pixelwise.training.features.computing import maps_read
from pixelwise.training.optimization.freezing import refuse_random_frozen
from pixelwise.training.sampling.draws import drawn_once, drawn_samples, learned_samples
from pixelwise.training.settings.holding import unfit_settings
from pixelwise.training.settings.unfit import Unfit
from pixelwise.training.stages import naming_stage, stage_recipe
from pixelwise.training.state import TrainingState, begin_state

FREE_SPACE_FACTOR = 3
"""A run starts only if this many checkpoints fit on the disk: the newest, the one before it, and the best."""


def use_processor(device: torch.device, threads: int) -> None:
    """Prepare this process for training: set its number of threads, and on the CPU keep freed memory for reuse.

    Args:
        device: Device to train on.
        threads: Number of CPU threads per operation.
    """
    torch.set_num_threads(threads)
    if device.type == "cpu":
        keep_freed_memory()


def look_at_data(
    recipe: Recipe, root: Path | None, observer: Observer, run: Path | None = None
) -> tuple[Dataset, DataFacts, Recipe]:
    """Open and audit the data, and fill in what the recipe left open about it.

    Args:
        recipe: The recipe of a run that begins.
        root: Folder of the data set; None for generated data.
        observer: Receives phases, progress and warnings.
        run: Folder of the run; nothing of the images that it holds out is looked at.

    Returns:
        The data set, the facts to be recorded about it, and the recipe with its classes, palette and, if
        `data.channels` names a number of bands other than three, their normalisation.

    Raises:
        DataError: The audit found an error that `data.allow` does not name; D107, a band is constant.
    """
    observer.phase("opening the data")
    dataset = open_to_learn(recipe, root, run)
    recipe = learning_without_labels(recipe, dataset, observer)
    if dataset.multilabel and not recipe.data.multilabel:
        observer.phase("multi-label data: a sigmoid per class, binary cross entropy (data.multilabel=true)")
        # Settings that are incompatible with it are refused here, before every file is examined.
        recipe = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, multilabel=True))
    recipe.loss.require_labels(multilabel=dataset.multilabel)
    splits = _splits(dataset, recipe, held_out=division_of(run) is not None)
    observer.phase("looking at the data")
    found = audit(dataset, splits=[*splits, WITHOUT_MASKS], progress=observer.progress)
    raise_for_errors(found, recipe.data.allow)
    for finding in found.findings:
        observer.warn(finding.code, finding.with_fix)
    recipe = _normalised(recipe, found, observer)
    data, counts = settled(recipe.data, dataset), found.statistics[recipe.data.train_split]
    # Opened in the same way as by every later verb, so that all of them see the same fingerprint.
    dataset = open_to_learn(msgspec.structs.replace(recipe, data=data), root, run)
    number, weights = recipe.distillation.unlabelled_images - len(found.unusable.get(WITHOUT_MASKS, ())), None
    if counts.images or not recipe.distillation.unlabelled_images:
        weights = class_weights(recipe.loss.class_weights, counts, multilabel=dataset.multilabel)
    facts = DataFacts(
        dataset=dataset.name,
        splits=tuple(splits),
        images={split: len(dataset.splits[split]) for split in splits},
        fingerprint=fingerprint(dataset, splits),
        naming=dataset.naming,
        class_weights=tuple(weights) if weights is not None else None,
        classes=tuple(dataset.classes),
        # Pairs whose errors `data.allow` accepts are left out instead of failing in the middle of a run.
        unusable={split: tuple(ids) for split, ids in found.unusable.items() if ids},
        largest_image=found.sizes.largest,
        usual_image=found.sizes.usual,
        statistics=msgspec.convert(
            {split: found.statistics[split] for split in splits}, dict[str, SplitFacts], from_attributes=True
        ),
        findings=msgspec.convert(found.findings, tuple[FindingFacts, ...], from_attributes=True),
        unlabelled=number,
        unlabelled_fingerprint=unlabelled_fingerprint(dataset),
    )
    taught = msgspec.structs.replace(recipe.distillation, unlabelled_images=number)
    return dataset, facts, msgspec.structs.replace(recipe, data=data, distillation=taught)


def _splits(dataset: Dataset, recipe: Recipe, *, held_out: bool = False) -> list[str]:
    """The splits that the training of a run opens, the training split first.

    Args:
        dataset: The data of the run.
        recipe: Its recipe.
        held_out: Whether the images that it is evaluated on are held out of its training.

    Raises:
        DataError: D221, one of them has no image with labels.
    """
    learned = learned_samples(dataset, recipe)  # a missing split is an error now, not after the training
    scored = [recipe.evaluation.split] if is_scored(dataset, recipe) and not held_out else []
    if recipe.selection.every_epochs:
        scored.append(recipe.selection.split)
    splits = list(dict.fromkeys([recipe.data.train_split, *scored]))
    for split in splits:
        if split != recipe.data.train_split or not learned:
            dataset.samples(split)
    return splits


def _normalised(recipe: Recipe, found: Audit, observer: Observer) -> Recipe:
    """The recipe with the normalisation of its bands, measured (with a warning) if it was not given."""
    changed = with_measured_bands(recipe, learned_statistics(found, recipe.data.train_split))
    if changed != recipe:
        used = changed.model.preprocessing
        mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (used.mean, used.std))
        observer.warn(
            "W108",
            f"model.preprocessing was for {recipe.model.preprocessing.in_channels} channels, but the network gets "
            f"{used.in_channels}; measured on {recipe.data.train_split}: mean [{mean}], std [{std}]",
        )
    return changed


class PreparedRun(NamedTuple):
    """Everything the training loop needs, built and checked.

    Attributes:
        recipe: The resolved recipe.
        dataset: The data set without its unusable pairs.
        facts: Recorded facts about the data.
        state: Model, moving average and optimizer before the first step.
        steps: Number of steps from the beginning of the training to its end.
        initial_weights: Recorded origin of the weights of step 0.
    """

    recipe: Recipe
    dataset: Dataset
    facts: DataFacts
    state: TrainingState
    steps: int
    initial_weights: InitialWeights

    @property
    def steps_per_epoch(self) -> int:
        """Number of optimizer steps per epoch."""
        return steps_per_epoch(len(self.samples), self.recipe.sampling)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The training samples of an epoch; those of large images occur several times."""
        return drawn_samples(self.dataset, self.recipe, self.facts.largest_image)

    @property
    def device(self) -> torch.device:
        """Device to train on."""
        return self.state.device

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Recorded origin of the weights of the networks that the network learns from."""
        return () if self.state.teachers is None else self.state.teachers.records


def prepare_run(
    recipe: Recipe,
    dataset: Dataset,
    facts: DataFacts,
    run: Path,
    device: torch.device,
    observer: Observer,
    begin: Path | None,
) -> PreparedRun:
    """Build model, average and optimizer, and refuse what cannot be trained, before anything is written.

    Args:
        recipe: The resolved recipe.
        dataset: The opened data set.
        facts: Recorded facts about the data.
        run: The run folder.
        device: Device to train on.
        observer: Receives phases and warnings.
        begin: Folder of a run whose weights initialise this one as far as names and shapes agree; None for no other
            run.
    """
    if recipe.loss.matching is not None and recipe.loss.matching.assignment == "hungarian":
        assignment_solver()  # that it is missing is an error now, not in the first step
    observer.phase("building the network")
    dataset = dataset.without(facts.unusable)
    steps, largest = planned_steps(recipe, dataset, facts.largest_image), facts.largest_image
    for stage in recipe.stages:
        with naming_stage(stage.name):
            planned_steps(stage_recipe(recipe, stage), dataset, largest)
    torch.manual_seed(recipe.sampling.seed)
    model = build_model(recipe)
    # A run that has a checkpoint takes all its weights from there.
    begins = not has_checkpoints(run)
    # The weights of another run fill the whole network, so nothing is fetched that they would overwrite.
    sha256 = None
    if begins and recipe.initialize.run is None and recipe.initialize.encoder != "none":
        observer.phase(f"loading the initial weights {recipe.initialize.encoder}")
        sha256 = initialize(model, recipe.initialize, say=observer.phase, warn=observer.warn)
    start = _begin_with(model, recipe, begin, observer) if begins else None
    if recipe.quantization != "none":
        observer.phase("preparing the network for int8")
        if begins and start is None and not recipe.stages:
            observer.warn(
                "W219",
                f"quantization={recipe.quantization} begins with random weights; begin with a float result "
                "(initialize.run=RUN), which takes a fraction of the steps",
            )
    state = begin_state(quantization_aware(model, recipe.quantization), recipe, device)
    if recipe.data.cache_features:
        maps_read(state.model)  # its errors are raised before anything is written
    copies = 3 if state.average is None else 4
    bytes_per_checkpoint = copies * sum(tensor.nbytes for tensor in state.model.state_dict().values())
    require_space(run, FREE_SPACE_FACTOR * bytes_per_checkpoint, f"{FREE_SPACE_FACTOR} checkpoints")
    other = StartedFrom(**start._asdict()) if start is not None else None
    weights = _initial_weights(recipe, sha256, other, begins=begins)
    drawn = len(drawn_samples(dataset, recipe, largest))
    if drawn != len(learned_samples(dataset, recipe)):
        facts = msgspec.structs.replace(facts, drawn=drawn)
    return PreparedRun(recipe, dataset, facts, state, steps, weights)


def _initial_weights(recipe: Recipe, sha256: str | None, other: StartedFrom | None, *, begins: bool) -> InitialWeights:
    encoder = recipe.initialize.encoder if recipe.initialize.run is None else "none"
    derived = derived_from(weights_path(encoder)) if begins else ()
    return InitialWeights(encoder=encoder, sha256=sha256, run=other, derived_from=derived)


def held_against_data(prepared: PreparedRun) -> tuple[Unfit, ...]:
    """The settings of a run and its stages that do not fit its data, each with overrides that do."""
    facts = prepared.facts
    images, recipe = len(prepared.samples), prepared.recipe
    return tuple(unfit_settings(recipe, images, drawn_once(facts.usual_image, recipe)))


def planned_steps(recipe: Recipe, dataset: Dataset, largest: Size) -> int:
    """Total number of training steps; `largest` is the (height, width) of the largest image.

    Raises:
        DataError: As `drawn_samples`.
        RecipeError: R211, the training split does not fill one step.
    """
    samples = drawn_samples(dataset, recipe, largest)
    return total_steps(recipe.schedule, steps_per_epoch(len(samples), recipe.sampling))


def _begin_with(model: SegmentationModel, recipe: Recipe, begin: Path | None, observer: Observer) -> Start | None:
    """Load the weights of the run that the network begins with, if there is one, and report how many fit."""
    start = None
    # The weights that the recipe names come first, so that those of a stage, trained from them, overwrite them.
    for run, partly in ((recipe.initialize.run, False), (begin, True)):
        if run is None:
            continue
        named = None if partly else recipe.initialize.recipe
        folder = run_path(os.path.normpath(run), observer.warn)
        start = begin_with_run(model, folder, recipe=named, partly=partly, warn=observer.warn)
        total = start.loaded + len(start.random)
        observer.phase(f"beginning with {start.loaded} of {total} tensors of {printable(folder)}")
    return start


def refuse_without_run(recipe: Recipe) -> None:
    """Refuse a recipe that begins with the result of another one, if no run of that is given or it is not a run.

    Raises:
        RecipeError: R232, `initialize.run` is missing.
        CheckpointError: K420, `initialize.run` is not a run folder.
    """
    named = recipe.initialize.recipe
    if named is not None and recipe.initialize.run is None:
        raise RecipeError(
            "R232",
            f"recipe '{recipe.name}' begins with the result of '{named}', but no run of '{named}' is given",
            f"train it first (pixelwise train {named}), then add initialize.run=RUN to this recipe",
        )
    if recipe.initialize.run is not None:
        read_recipe(run_path(recipe.initialize.run))  # its errors are raised now, not after the data was examined


def with_initial_weights(recipe: Recipe, overrides: Sequence[str], observer: Observer) -> Recipe:
    """The recipe with available weights, their normalisation, and the hashes of files and teachers that it names.

    Args:
        recipe: The recipe of a run that begins.
        overrides: The changes that were given with it; a normalisation among them is kept.
        observer: Receives what was decided.

    Raises:
        RecipeError: As `refuse_without_run`; R295, the encoder is to be frozen, but begins with random weights.
        CheckpointError: As `refuse_without_run`, `identified` and `with_teachers`.
    """
    recipe = with_pinned_runs(recipe, observer.warn)
    refuse_without_run(recipe)
    recipe = with_teachers(recipe, warn=observer.warn)
    asked = any(override.strip().startswith("initialize.encoder") for override in overrides)
    recipe = with_available_default(recipe, given=asked, say=observer.phase, warn=observer.warn)
    if recipe.initialize.run is None:
        recipe = msgspec.structs.replace(recipe, initialize=identified(recipe.initialize))
    # A stage that precedes the training begins with these weights, and the training with those of the stage.
    refuse_random_frozen((stage_recipe(recipe, recipe.stages[0]) if recipe.stages else recipe).initialize)
    given = any(override.strip().startswith("model.preprocessing") for override in overrides)
    return following_weights(recipe, given=given, say=observer.phase, warn=observer.warn)


def with_auto_batch(recipe: Recipe, facts: DataFacts, device: torch.device, observer: Observer) -> Recipe:
    """The recipe with the largest batch size that fits into memory.

    Raises:
        ResourceError: S605, not even the smallest batch fits.
    """
    observer.phase("searching for the largest batch that fits")
    changed, message = auto_batch(recipe, facts.largest_image, device)
    if changed == recipe:
        observer.phase(message)
    else:
        observer.warn("W605", message)
    return changed


def with_chosen_format(recipe: Recipe, facts: DataFacts, device: torch.device, observer: Observer) -> FormatChoice:
    """The recipe with the fastest number format and memory layout, and the time that each of them takes.

    Raises:
        ResourceError: S605, a step does not fit into memory.
    """
    observer.phase("timing number formats and layouts")
    chosen = choose_format(recipe, facts.largest_image, device)
    observer.phase(chosen.message)
    return chosen
