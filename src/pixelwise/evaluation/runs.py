"""Scoring of runs, artefacts and models in memory, by the names of split and protocols."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import safetensors.torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.checkpoints.ensembles import load_network
from pixelwise.checkpoints.trained import TrainedModel
from pixelwise.datasets.classes.agreement import for_network
from pixelwise.datasets.format import needs_folder
from pixelwise.datasets.known_images import in_words, known_images
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.run_data import is_own_data, open_for, open_run_data
from pixelwise.errors import DataError, RecipeError
from pixelwise.evaluation.asking import Asked, Scored
from pixelwise.evaluation.assembling import Origin
from pixelwise.evaluation.mask_values import refuse_other_values
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.shards.by_units import score_by_units
from pixelwise.evaluation.subject import Subject, score
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer
from pixelwise.prediction.rules import scoring_of
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.asking import DEFAULT_RECIPE
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Data, Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.records.data_facts import read_data_facts
from pixelwise.records.environment import Ancestor, read_environment
from pixelwise.records.folds.cross_validation import SUMMARY
from pixelwise.records.result import Result, TrainingCost, Unfinished
from pixelwise.records.run_folder import CHECKPOINTS
from pixelwise.runtimes import ArtefactModel, is_artefact, load_artefact
from pixelwise.runtimes.inference import Scoring
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.stores.addresses import address_of, place_of


def score_by_name(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocols: Sequence[str] | None = None,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (immutable)
    observer: Observer = SILENT,
    ranks: Ranks = ALONE,
) -> list[Result]:
    """Score a run, an artefact or a model in memory, and save the results of a run or an artefact in its folder.

    Arguments and errors are those of `pixelwise.evaluate`, which also rewrites the report of a run.

    Args:
        model_or_run: A run folder, an exported artefact (its folder or its file), or a model in memory.
        data: Folder of the data set; None for the data the run was trained on.
        split: Name of the split; `all` for all of them together, each image once. None for the recipe's
            `evaluation.split`, or `val` for a model in memory; but `all` for other data that has no splits.
        protocols: Names of protocols, scored in one pass; None for the recipe's first, or `native` for a model in
            memory.
        options: Options of the evaluation.
        observer: Receives progress after every batch, and a warning if a damaged checkpoint was skipped.
        ranks: The processes that score together; the first one saves.

    Returns:
        One result per protocol.
    """
    asked = _asked(data, split, protocols, options)
    if isinstance(model_or_run, SegmentationModel):
        subject = _memory_subject(model_or_run, asked, observer)
    else:
        subject = open_subject(Path(model_or_run), asked, options.trust, observer)
    if subject.refuse is not None:
        subject.refuse()
    return score(subject, options, observer, ranks)


def score_by_name_in_units(
    run: Path,
    data: str | os.PathLike[str] | None,
    split: str | None,
    protocols: Sequence[str] | None,
    options: EvaluateOptions,
    observer: Observer = SILENT,
) -> list[Result] | Unfinished:
    """As `score_by_name`, for a run or an artefact, by units with receipts; see `score_by_units`.

    Returns:
        One result per protocol; or how much is done, as long as other parts of the images are not.
    """
    asked = _asked(data, split, protocols, options)
    elsewhere = asked
    if asked.data is not None and address_of(asked.data) is None:
        elsewhere = msgspec.structs.replace(asked, data=asked.data.absolute())
    again = functools.partial(open_subject, run.absolute(), elsewhere, options.trust)
    return score_by_units(open_subject(run, asked, options.trust, observer), again, options, observer)


def _asked(
    data: str | os.PathLike[str] | None, split: str | None, protocols: Sequence[str] | None, options: EvaluateOptions
) -> Asked:
    names = None if protocols is None else list(protocols)
    if names == []:
        raise ValueError("the list of protocols is empty; name one or leave it out")
    return Asked(
        data=None if data is None else place_of(data), split=split, protocols=names, overrides=options.overrides
    )


def open_subject(path: Path, asked: Asked, trust: bool, observer: Observer = SILENT) -> Subject:
    """What a run or an artefact is scored on; the values of the masks are not looked at.

    Args:
        path: A run folder, or an exported artefact.
        asked: What is asked for.
        trust: Whether an artefact may run code.
        observer: Receives warnings.

    Raises:
        CheckpointError: It is neither, or has no valid checkpoint.
        DataError: The data cannot be opened.
        RecipeError: R204, there is no such protocol; an override is wrong.
    """
    if is_artefact(path):
        return _artefact_subject(path, asked, observer, trust=trust)
    return _run_subject(path, asked, observer)


def _run_subject(run: Path, asked: Asked, observer: Observer) -> Subject:
    network = load_network(run, observer.warn)
    named, run, trained = run, network.run, network.one
    recipe = asked.changed(trained.recipe)
    dataset = open_run_data(run, trained.recipe, asked.data, observer.warn, overrides=asked.overrides)
    folder = asked.data if asked.data is not None else read_environment(run).data_folder
    own = is_own_data(run, dataset, asked.data)
    if network.is_ensemble and own:
        raise _known_images(named)
    scored = asked.scored(dataset, recipe.evaluation.split, own, observer.warn)
    if not own:
        scored = _with_known_images(scored, named, run, network.is_ensemble, observer)
    # Training examined its splits, read as they were then.
    unknown = not own or bool(asked.overrides) or scored.split not in read_data_facts(run).splits
    allow = recipe.data.allow if own else asked.allowed()
    origin = origin_of(trained, _training_cost(run, trained.recipe), read_environment(run).derived_from)
    if network.is_ensemble:
        origin = msgspec.structs.replace(origin, weights_sha256=network.weights_sha256, training=None)
    return Subject(
        model=network.model,
        origin=origin,
        **scored._asdict(),
        protocols=_protocols(asked.protocols or recipe.evaluation.protocols[:1]),
        input_size=recipe.evaluation.input_size,
        batch_size=recipe.evaluation.batch_size,
        precision=recipe.precision,
        command=_named(named, asked),
        folder=named,
        pictures=True,
        data=_absolute(folder),
        own_data=own,
        overrides=asked.overrides,
        refuse=_refusing(scored, allow, observer) if unknown else None,
    )


def _with_known_images(scored: Scored, named: Path, run: Path, ensemble: bool, observer: Observer) -> Scored:
    """Data that is not the run's own, with what has to be said if images of it are.

    Raises:
        RecipeError: R313, the networks of a cross-validation were trained on some of the images.
    """
    images = len(scored.dataset.splits.get(scored.split, ()))
    known = known_images(run, scored.dataset, scored.split, folds=ensemble)
    if not known:
        return scored
    if ensemble:
        raise _known_images(named, in_words(known, images))
    said = f"{printable(named)} was trained on {in_words(known, images)} that are scored: the score is too high"
    observer.warn("W416", said)
    return scored._replace(notes=(*scored.notes, f"{said}."))


def _known_images(folder: Path, which: str = "these images") -> RecipeError:
    return RecipeError(
        "R313",
        f"the networks of {printable(folder)} were trained on {which}, all but one on each: their joint score would be "
        "too high",
        f"the score of every image by the network that has not seen it is in {printable(folder / SUMMARY)}; other data "
        "is named with `data`",
    )


def _artefact_subject(path: Path, asked: Asked, observer: Observer, *, trust: bool) -> Subject:
    model = load_artefact(path, trust=trust)
    sidecar, section = model.sidecar, model.sidecar.data_section(path)
    if asked.data is None and needs_folder(section.dataset):
        raise DataError(
            "D222", f"{printable(path)}: an artefact does not say where its data is", "name the folder in `data`"
        )
    scoring = sidecar.scoring or scoring_of(sidecar.resolved_recipe(path))
    known = _recipe_for_scoring(section, scoring)
    dataset = open_for(known, asked.data, warn=observer.warn, overrides=asked.overrides)
    recipe = asked.changed(known)
    scored = asked.scored(dataset, recipe.evaluation.split, None, observer.warn)
    if asked.protocols is not None or recipe.evaluation.protocols != known.evaluation.protocols:
        protocols = _protocols(asked.protocols or recipe.evaluation.protocols[:1])
    else:
        protocols = (scoring.first_protocol(),)
    input_size = recipe.evaluation.input_size
    if sidecar.inference is None:
        # In version 1 of the description, an artefact of one size sees every image at that size.
        input_size = model.fixed_size or input_size
    return Subject(
        model=model,
        origin=Origin(
            recipe=sidecar.recipe_name,
            recipe_hash=sidecar.recipe_hash,
            weights_sha256=sidecar.files_sha256,
            weights="model",
            step=0,
            derived_from=sidecar.licence.derived_from,
        ),
        **scored._asdict(),
        protocols=protocols,
        input_size=input_size,
        batch_size=recipe.evaluation.batch_size,
        command=_named(path, asked),
        folder=path if path.is_dir() else path.parent,
        data=_absolute(asked.data),
        overrides=asked.overrides,
        refuse=_refusing(scored, asked.allowed(), observer),
    )


def _memory_subject(model: SegmentationModel, asked: Asked, observer: Observer) -> Subject:
    if asked.data is None:
        raise DataError("D222", "a model in memory does not say where its data is", "name the folder in `data`")
    recipe = asked.changed(find_recipe(DEFAULT_RECIPE))
    dataset = open_dataset(recipe.data, asked.data)
    if model.multilabel == dataset.multilabel:
        dataset = for_network(dataset, model.classes)
        for remark in dataset.remarks:
            observer.warn(remark.code, remark.message)
    scored = asked.scored(dataset, "val", None, observer.warn)
    weights = safetensors.torch.save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    return Subject(
        model=model,
        origin=Origin(recipe="", recipe_hash="", weights_sha256=sha256_bytes(weights), weights="model", step=0),
        **scored._asdict(),
        protocols=_protocols(asked.protocols or ["native"]),
        input_size=_size_in_memory(model) or (recipe.evaluation.input_size if asked.overrides else None),
        data=_absolute(asked.data),
        overrides=asked.overrides,
        refuse=_refusing(scored, asked.allowed(), observer),
    )


def _refusing(scored: Scored, allow: Sequence[str], observer: Observer) -> Callable[[], None]:
    return functools.partial(refuse_other_values, scored.dataset, scored.split, allow=allow, observer=observer)


def _recipe_for_scoring(data: Data, scoring: Scoring) -> Recipe:
    """A recipe that reads and scores data as an artefact says; its own may need packages that are not installed."""
    generic = find_recipe(DEFAULT_RECIPE)
    evaluation = msgspec.structs.replace(
        generic.evaluation, split=scoring.split, input_size=scoring.input_size, batch_size=scoring.batch_size
    )
    return msgspec.structs.replace(generic, data=data, evaluation=evaluation)


def _size_in_memory(model: SegmentationModel) -> Size | None:
    """The network's input size if a protocol leaves it open: that of an artefact's recipe."""
    if not isinstance(model, ArtefactModel):
        return model.fixed_size
    return model.fixed_size if model.sidecar.scoring is None else model.sidecar.scoring.input_size


def _protocols(names: Sequence[str]) -> tuple[Protocol, ...]:
    return tuple(find_protocol(name) for name in dict.fromkeys(names))


def _named(path: Path, asked: Asked) -> tuple[str, ...]:
    """The first arguments of a command line that evaluates the run or artefact at `path`."""
    words = ("pixelwise", "evaluate", printable(path), *asked.overrides)
    return words if asked.data is None else (*words, "--data", printable(asked.data))


def _absolute(folder: Path | None) -> str:
    return "" if folder is None else printable(address_of(folder) or folder.absolute())


def origin_of(
    trained: TrainedModel, training: TrainingCost | None = None, derived_from: tuple[Ancestor, ...] = ()
) -> Origin:
    """Origin of the weights of a run.

    Args:
        trained: Trained network of the run.
        training: Cost of the training, to be included in the result; None to leave it out.
        derived_from: The networks that the weights were derived from.
    """
    return Origin(
        recipe=trained.recipe.name,
        recipe_hash=trained.recipe_hash,
        weights_sha256=trained.weights_sha256,
        weights="ema" if trained.weights == "ema" else "model",
        step=trained.checkpoint.step,
        training=training,
        derived_from=derived_from,
    )


class _Progress(msgspec.Struct):
    step: int
    seconds: float
    peak_memory_bytes: int
    stale_evaluations: int = 0


class _State(msgspec.Struct):
    """The part of a checkpoint's `state.json` that tells the cost; imported weights have none."""

    progress: _Progress | None = None


def _training_cost(run: Path, recipe: Recipe) -> TrainingCost | None:
    """Cost of the training, from the newest checkpoint: the best one records only the time until itself."""
    newest = newest_checkpoint(run / CHECKPOINTS)
    if newest is None:
        return None
    progress = newest.state(_State).progress
    if progress is None:  # imported weights
        return None
    patience = recipe.selection.patience
    ended = patience is not None and progress.stale_evaluations >= patience
    return TrainingCost(
        steps=progress.step,
        seconds=progress.seconds,
        peak_memory_bytes=progress.peak_memory_bytes,
        planned_steps=progress.step if ended else read_data_facts(run).planned_steps(recipe),
    )
