"""Scoring of runs, artefacts and models in memory, by the names of split and protocols."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.datasets.format import needs_folder
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.run_data import open_run_data
from pixelwise.errors import DataError
from pixelwise.evaluation.assembling import Origin
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.subject import Subject, score
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Data
from pixelwise.records.result import Result, TrainingCost
from pixelwise.records.run_folder import CHECKPOINTS
from pixelwise.runtimes import is_artefact, load_artefact
from pixelwise.storage import printable, sha256_bytes


def score_by_name(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocols: Sequence[str] | None = None,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (immutable)
    observer: Observer = SILENT,
) -> list[Result]:
    """Score a run, an artefact or a model in memory, and save the results of a run or an artefact in its folder.

    Arguments and errors are those of `pixelwise.evaluate`, which also rewrites the report of a run.

    Args:
        model_or_run: A run folder, an exported artefact (its folder or its file), or a model in memory.
        data: Folder of the data set; None for the data the run was trained on.
        split: Name of the split; None for the recipe's `evaluation.split`, or `val` for a model in memory.
        protocols: Names of protocols, scored in one pass; None for the recipe's first, or `native` for a model in
            memory.
        options: Options of the evaluation.
        observer: Receives progress after every batch, and a warning if a damaged checkpoint was skipped.

    Returns:
        One result per protocol.
    """
    names = None if protocols is None else list(protocols)
    if names == []:
        raise ValueError("the list of protocols is empty; name one or leave it out")
    if isinstance(model_or_run, SegmentationModel):
        subject = _memory_subject(model_or_run, data, split, names)
    elif is_artefact(Path(model_or_run)):
        subject = _artefact_subject(Path(model_or_run), data, split, names)
    else:
        subject = _run_subject(Path(model_or_run), data, split, names, observer)
    return score(subject, options, observer)


def _run_subject(
    run: Path,
    data: str | os.PathLike[str] | None,
    split: str | None,
    names: list[str] | None,
    observer: Observer,
) -> Subject:
    trained = load_trained(run, observer.warn)
    recipe = trained.recipe
    return Subject(
        model=trained.model,
        origin=origin_of(trained, _training_cost(run)),
        dataset=open_run_data(run, recipe, data),
        split=split or recipe.evaluation.split,
        protocols=_protocols(names or recipe.evaluation.protocols[:1]),
        input_size=recipe.evaluation.input_size,
        batch_size=recipe.evaluation.batch_size,
        precision=recipe.precision,
        command=_named(run, data),
        folder=run,
        pictures=True,
    )


def _artefact_subject(
    path: Path, data: str | os.PathLike[str] | None, split: str | None, names: list[str] | None
) -> Subject:
    model = load_artefact(path)
    sidecar, recipe = model.sidecar, model.sidecar.resolved_recipe(path)
    if data is None and needs_folder(recipe.data.dataset):
        raise DataError(
            "D222", f"{printable(path)}: an artefact does not say where its data is", "name the folder in `data`"
        )
    return Subject(
        model=model,
        origin=Origin(
            recipe=recipe.name,
            recipe_hash=sidecar.recipe_hash,
            weights_sha256=sidecar.files_sha256,
            weights="model",
            step=0,
        ),
        dataset=open_dataset(recipe.data, Path(data) if data is not None else None),
        split=split or recipe.evaluation.split,
        protocols=_protocols(names or recipe.evaluation.protocols[:1]),
        # An artefact of a fixed size accepts no other, whatever the recipe says.
        input_size=model.fixed_size or recipe.evaluation.input_size,
        batch_size=recipe.evaluation.batch_size,
        command=_named(path, data),
        folder=path if path.is_dir() else path.parent,
    )


def _memory_subject(
    model: SegmentationModel, data: str | os.PathLike[str] | None, split: str | None, names: list[str] | None
) -> Subject:
    if data is None:
        raise DataError("D222", "a model in memory does not say where its data is", "name the folder in `data`")
    weights = safetensors.torch.save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    return Subject(
        model=model,
        origin=Origin(recipe="", recipe_hash="", weights_sha256=sha256_bytes(weights), weights="model", step=0),
        dataset=open_dataset(Data(), Path(data)),
        split=split or "val",
        protocols=_protocols(names or ["native"]),
        input_size=model.fixed_size,
    )


def _protocols(names: Sequence[str]) -> tuple[Protocol, ...]:
    return tuple(find_protocol(name) for name in dict.fromkeys(names))


def _named(path: Path, data: str | os.PathLike[str] | None) -> tuple[str, ...]:
    """The first arguments of a command line that evaluates the run or artefact at `path`."""
    words = ("pixelwise", "evaluate", printable(path))
    return words if data is None else (*words, "--data", printable(Path(data)))


def origin_of(trained: TrainedModel, training: TrainingCost | None = None) -> Origin:
    """Origin of the weights of a run.

    Args:
        trained: Trained network of the run.
        training: Cost of the training, to be included in the result; None to leave it out.
    """
    return Origin(
        recipe=trained.recipe.name,
        recipe_hash=trained.recipe_hash,
        weights_sha256=trained.weights_sha256,
        weights="ema" if trained.weights == "ema" else "model",
        step=trained.checkpoint.step,
        training=training,
    )


def _training_cost(run: Path) -> TrainingCost | None:
    """Cost of the training, from the newest checkpoint: the best one records only the time until itself."""
    newest = newest_checkpoint(run / CHECKPOINTS)
    if newest is None:
        return None
    progress = newest.state().get("progress")
    if progress is None:  # imported weights
        return None
    return TrainingCost(
        steps=progress["step"], seconds=progress["seconds"], peak_memory_bytes=progress["peak_memory_bytes"]
    )
