"""Scoring a run, or a model in memory, by name of split and protocol."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import msgspec
import safetensors.torch
import torch

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.layouts.splits import group_names
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.evaluation.assembling import Provenance, make_result
from pixelwise.evaluation.evaluate import evaluate_protocols
from pixelwise.evaluation.gallery import save_samples
from pixelwise.evaluation.tally import Measurement
from pixelwise.machine.devices import choose_device
from pixelwise.models import SegmentationModel
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Data, Evaluation, Precision
from pixelwise.records.result import Result, TrainingCost, save_result
from pixelwise.records.run_folder import CHECKPOINTS, DATA, ENVIRONMENT, EVALUATIONS
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
        device: None: a GPU where there is one.
        boundary: Measure boundary IoU too.
        calibration: Measure the calibration error too, which needs every pixel's probabilities.
        group: Score groups of images too: a regular expression that is searched in every id; its first group,
            or all that it matches, names the image's group: `^[^_]+` for the sequences `0001TP`, `Seq05VD`.
        progress: Told (images done, images in all).
        warn: Told when a damaged checkpoint was passed over, with a code.

    Returns:
        The result; for a list of protocols one for each.

    Raises:
        CheckpointError: The folder is no run, has no valid checkpoint, or predicts other classes.
        DataError: The data cannot be opened or read.
        RecipeError: R204, no such protocol. R203, `group` is no regular expression.
        ValueError: The list of protocols is empty.
    """
    several = isinstance(protocol, list)
    names = protocol if isinstance(protocol, list) else None if protocol is None else [protocol]
    if names == []:
        raise ValueError("the list of protocols is empty; name one or more")
    options = _Options(choose_device(device), boundary, calibration, group, progress)
    if isinstance(model_or_run, SegmentationModel):
        results = _evaluate_memory(model_or_run, data, split or "val", names or ["native"], options)
    elif is_artefact(Path(model_or_run)):
        results = _evaluate_artefact(Path(model_or_run), data, split, names, options)
    else:
        results = _evaluate_run(Path(model_or_run), data, split, names, options, warn)
    return results if several else results[0]


class _Options(NamedTuple):
    """How to measure."""

    device: torch.device
    boundary: bool
    calibration: bool
    group: str | None
    progress: Callable[[int, int], None] | None

    def flags(self) -> str:
        """The command line options that are not the default."""
        group = "" if self.group is None else f" --group {shlex.quote(self.group)}"
        return ("" if self.boundary else " --no-boundary") + (" --calibration" if self.calibration else "") + group

    def groups_of(self, samples: Sequence[Sample]) -> dict[str, str] | None:
        """Id -> name of its group, where groups are wanted."""
        return None if self.group is None else group_names([sample.id for sample in samples], self.group, 1.0)


def _evaluate_run(
    run: Path,
    data: str | os.PathLike[str] | None,
    split: str | None,
    names: list[str] | None,
    options: _Options,
    warn: Callable[[str, str], None] | None,
) -> list[Result]:
    trained = load_trained(run, warn)
    recipe = trained.recipe
    chosen = [find_protocol(name) for name in dict.fromkeys(names or recipe.evaluation.protocols[:1])]
    dataset = open_dataset(recipe.data, _data_folder(run, data))
    if data is None:
        # What training left out because `data.allow` says so cannot be scored either.
        dataset = dataset.without(_facts(run / DATA).get("unusable", {}))
    split = split or recipe.evaluation.split
    groups = options.groups_of(dataset.samples(split))
    measured = _measure(trained.model, dataset, split, chosen, recipe.evaluation, recipe.precision, options)
    results = []
    for protocol, measurement in zip(chosen, measured, strict=True):
        command = f"pixelwise evaluate {printable(run)} --split {split} --protocol {protocol.name}{options.flags()}"
        result = make_result(measurement, _provenance(run, trained, dataset, split, command), groups)
        folder = run / EVALUATIONS / f"{split}-{protocol.name}"
        save_samples(trained.model, dataset, measurement, folder / "samples")
        save_result(result, measurement.per_image, folder)
        results.append(result)
    return results


def _evaluate_artefact(
    path: Path,
    data: str | os.PathLike[str] | None,
    split: str | None,
    names: list[str] | None,
    options: _Options,
) -> list[Result]:
    model = load_artefact(path)
    recipe = model.sidecar.resolved_recipe(path)
    if data is None and recipe.data.dataset != "town":
        raise DataError("D222", f"{printable(path)} does not know its data", "name the folder with --data")
    chosen = [find_protocol(name) for name in dict.fromkeys(names or recipe.evaluation.protocols[:1])]
    dataset = open_dataset(recipe.data, Path(data) if data is not None else None)
    split = split or recipe.evaluation.split
    evaluation = recipe.evaluation
    if model.fixed_size is not None:  # it sees nothing else, whatever the recipe says
        evaluation = msgspec.structs.replace(evaluation, input_size=model.fixed_size)
    # The runtimes here compute on the CPU, in the artefact's own number format.
    options = options._replace(device=torch.device("cpu"))
    measured = _measure(model, dataset, split, chosen, evaluation, Precision(), options)
    folder = path if path.is_dir() else path.parent
    results = []
    for protocol, measurement in zip(chosen, measured, strict=True):
        provenance = Provenance(
            recipe=recipe.name,
            recipe_hash=recipe.hash(),
            weights_sha256=_of_files(list(model.sidecar.files.values())),
            weights="model",
            step=0,
            data_fingerprint=fingerprint(dataset, [split]),
            command=f"pixelwise evaluate {printable(path)} --split {split} --protocol {protocol.name}{options.flags()}",
        )
        result = make_result(measurement, provenance)
        save_result(result, measurement.per_image, folder / EVALUATIONS / f"{split}-{protocol.name}")
        results.append(result)
    return results


def _of_files(hashes: Sequence[str]) -> str:
    """The SHA-256 of the one file, or that of the hashes of several."""
    return hashes[0] if len(hashes) == 1 else sha256_bytes("".join(hashes).encode())


def _evaluate_memory(
    model: SegmentationModel,
    data: str | os.PathLike[str] | None,
    split: str,
    names: list[str],
    options: _Options,
) -> list[Result]:
    if data is None:
        raise DataError("D222", "a model in memory does not know its data", "pass data='folder of the data set'")
    chosen = [find_protocol(name) for name in dict.fromkeys(names)]
    dataset = open_dataset(Data(), Path(data))
    groups = options.groups_of(dataset.samples(split))
    measured = _measure(model, dataset, split, chosen, Evaluation(), Precision(), options)
    weights = safetensors.torch.save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    provenance = Provenance(
        recipe="",
        recipe_hash="",
        weights_sha256=sha256_bytes(weights),
        weights="model",
        step=0,
        data_fingerprint=fingerprint(dataset, [split]),
        command="",
    )
    return [make_result(measurement, provenance, groups) for measurement in measured]


def _measure(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocols: Sequence[Protocol],
    evaluation: Evaluation,
    precision: Precision,
    options: _Options,
) -> list[Measurement]:
    measured = evaluate_protocols(
        model,
        dataset,
        split,
        protocols,
        input_size=evaluation.input_size,
        batch_size=evaluation.batch_size,
        device=options.device,
        precision=precision,
        progress=options.progress,
        boundary=options.boundary,
        calibration=options.calibration,
    )
    if measured is None:
        raise AssertionError("evaluate_protocols stops only when asked, and nobody asks here")
    return measured


def _data_folder(run: Path, data: str | os.PathLike[str] | None) -> Path | None:
    """The folder given, or the one the run was trained on."""
    if data is not None:
        return Path(data)
    folder = _facts(run / ENVIRONMENT).get("arguments", {}).get("data")
    return Path(folder) if folder is not None else None


def _facts(path: Path) -> dict[str, Any]:
    """A JSON file of the run folder; empty when it is missing, as in a folder that holds weights only."""
    return msgspec.json.decode(path.read_bytes()) if path.is_file() else {}


def _provenance(run: Path, trained: TrainedModel, dataset: Dataset, split: str, command: str) -> Provenance:
    return Provenance(
        recipe=trained.recipe.name,
        recipe_hash=trained.recipe.hash(),
        weights_sha256=trained.weights_sha256,
        weights="ema" if trained.weights == "ema" else "model",
        step=trained.checkpoint.step,
        training=_training_cost(run),
        data_fingerprint=fingerprint(dataset, [split]),
        command=command,
    )


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
