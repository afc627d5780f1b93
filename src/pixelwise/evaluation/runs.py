"""Scoring a run, or a model in memory, by name of split and protocol."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

import msgspec
import safetensors.torch
import torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError
from pixelwise.evaluation.assembling import Origin
from pixelwise.evaluation.subject import Measures, Subject, score
from pixelwise.models import SegmentationModel
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Data
from pixelwise.records.result import Result, TrainingCost
from pixelwise.records.run_folder import CHECKPOINTS, DATA, ENVIRONMENT
from pixelwise.runtimes import is_artefact, load_artefact
from pixelwise.storage import printable, sha256_bytes


@overload
def evaluate(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocol: str | None = None,
    *,
    device: str | torch.device | None = None,
    boundary: bool = True,
    calibration: bool = False,
    group: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str, str], None] | None = None,
) -> Result: ...
@overload
def evaluate(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    *,
    protocol: list[str],
    device: str | torch.device | None = None,
    boundary: bool = True,
    calibration: bool = False,
    group: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str, str], None] | None = None,
) -> list[Result]: ...
def evaluate(
    model_or_run: SegmentationModel | str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocol: str | list[str] | None = None,
    *,
    device: str | torch.device | None = None,
    boundary: bool = True,
    calibration: bool = False,
    group: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str, str], None] | None = None,
) -> Result | list[Result]:
    """Score a run or a model.

    The result of a run, with its per-class and per-image tables and pictures of its worst, middle
    and best images, is kept in `RUN/evaluations/SPLIT-PROTOCOL/`.

    Args:
        model_or_run: A run folder, an exported artefact (its folder or its file), or a model in memory. Results
            of an artefact are kept in its folder.
        data: Folder of the data set; None: where the run was trained.
        split: None: the recipe's `evaluation.split`; for a model in memory `val`.
        protocol: Name of a protocol; None: the recipe's first; for a model in memory `native`. A list of
            names is scored in one pass: images are decoded once, and predicted once for all protocols
            under which the network sees the same. A name given twice counts once.
        device: None: a GPU where there is one; an artefact computes on the CPU and refuses any other device.
        boundary: Measure boundary IoU too.
        calibration: Measure the calibration error too, which needs every pixel's probabilities: neither a multi-label
            network nor an artefact that gives class ids has them.
        group: Score groups of images too: a regular expression that is searched in every id; its first group,
            or all that it matches, names the image's group: `^[^_]+` for the sequences `0001TP`, `Seq05VD`.
        progress: Told (images done, images in all).
        warn: Told when a damaged checkpoint was passed over, with a code.

    Returns:
        The result; for a list of protocols one for each.

    Raises:
        CheckpointError: The folder is no run, has no valid checkpoint, or predicts other classes.
        DataError: The data cannot be opened or read.
        RecipeError: R204, no such protocol. R203, `group` is no regular expression, or the network gives no
            probabilities for `calibration`. R214, the device cannot be used.
        ValueError: The list of protocols is empty.
    """
    several = isinstance(protocol, list)
    names = protocol if isinstance(protocol, list) else None if protocol is None else [protocol]
    if names == []:
        raise ValueError("the list of protocols is empty; name one or more")
    measures = Measures(device=device, boundary=boundary, calibration=calibration, group=group, progress=progress)
    if isinstance(model_or_run, SegmentationModel):
        subject = _memory_subject(model_or_run, data, split, names)
    elif is_artefact(Path(model_or_run)):
        subject = _artefact_subject(Path(model_or_run), data, split, names)
    else:
        subject = _run_subject(Path(model_or_run), data, split, names, warn)
    results = score(subject, measures)
    return results if several else results[0]


def _run_subject(
    run: Path,
    data: str | os.PathLike[str] | None,
    split: str | None,
    names: list[str] | None,
    warn: Callable[[str, str], None] | None,
) -> Subject:
    trained = load_trained(run, warn)
    recipe = trained.recipe
    dataset = open_dataset(recipe.data, _data_folder(run, data))
    if data is None:
        # What training left out because `data.allow` says so cannot be scored either.
        dataset = dataset.without(_facts(run / DATA).get("unusable", {}))
    return Subject(
        model=trained.model,
        origin=origin_of(trained, _training_cost(run)),
        dataset=dataset,
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
    if data is None and recipe.data.dataset != "town":
        raise DataError("D222", f"{printable(path)} does not know its data", "name the folder with --data")
    return Subject(
        model=model,
        origin=Origin(
            recipe=recipe.name,
            recipe_hash=recipe.hash(),
            weights_sha256=_of_files(list(sidecar.files.values())),
            weights="model",
            step=0,
        ),
        dataset=open_dataset(recipe.data, Path(data) if data is not None else None),
        split=split or recipe.evaluation.split,
        protocols=_protocols(names or recipe.evaluation.protocols[:1]),
        # An artefact of one size sees nothing else, whatever the recipe says.
        input_size=model.fixed_size or recipe.evaluation.input_size,
        batch_size=recipe.evaluation.batch_size,
        command=_named(path, data),
        folder=path if path.is_dir() else path.parent,
    )


def _memory_subject(
    model: SegmentationModel, data: str | os.PathLike[str] | None, split: str | None, names: list[str] | None
) -> Subject:
    if data is None:
        raise DataError("D222", "a model in memory does not know its data", "pass data='folder of the data set'")
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
    """The words of a command line that evaluate what lies at `path`."""
    words = ("pixelwise", "evaluate", printable(path))
    return words if data is None else (*words, "--data", printable(Path(data)))


def _of_files(hashes: Sequence[str]) -> str:
    """The SHA-256 of the one file, or that of the hashes of several."""
    return hashes[0] if len(hashes) == 1 else sha256_bytes("".join(hashes).encode())


def origin_of(trained: TrainedModel, training: TrainingCost | None = None) -> Origin:
    """Where the weights of a run come from.

    Args:
        trained: The run's network.
        training: What the run took, where that is wanted in the result.
    """
    return Origin(
        recipe=trained.recipe.name,
        recipe_hash=trained.recipe.hash(),
        weights_sha256=trained.weights_sha256,
        weights="ema" if trained.weights == "ema" else "model",
        step=trained.checkpoint.step,
        training=training,
    )


def _data_folder(run: Path, data: str | os.PathLike[str] | None) -> Path | None:
    """The folder given, or the one the run was trained on."""
    if data is not None:
        return Path(data)
    folder = _facts(run / ENVIRONMENT).get("arguments", {}).get("data")
    return Path(folder) if folder is not None else None


def _facts(path: Path) -> dict[str, Any]:
    """A JSON file of the run folder; empty when it is missing, as in a folder that holds weights only."""
    return msgspec.json.decode(path.read_bytes()) if path.is_file() else {}


def _training_cost(run: Path) -> TrainingCost | None:
    """From the newest checkpoint: the best one knows only the time up to itself."""
    newest = newest_checkpoint(run / CHECKPOINTS)
    if newest is None:
        return None
    progress = newest.state().get("progress")
    if progress is None:  # imported weights
        return None
    return TrainingCost(
        steps=progress["step"], seconds=progress["seconds"], peak_memory_bytes=progress["peak_memory_bytes"]
    )
