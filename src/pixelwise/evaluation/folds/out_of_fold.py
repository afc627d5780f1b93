"""Predictions of the images that a fold holds out, by the network that has not seen them, and how sure it is.

    OUT/out-of-fold/masks/NAME.png          class ids (multi-label data: masks/CLASS/NAME.png, 255 where present)
    OUT/out-of-fold/confidence/NAME.png     255 times the probability of the predicted class, rounded
    OUT/out-of-fold/label/NAME.png          255 times the probability of the labelled class, rounded; 0 where ignored
    OUT/out-of-fold/fold-0.json ...         written last for each fold

All are at the size at which the image is scored. An image that is scored in parts has a mask alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.reading.regions.pairs import is_in_parts
from pixelwise.datasets.run_data import open_run_data
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.evaluation.large import Rules, score_in_parts
from pixelwise.evaluation.pairs import pairs_of
from pixelwise.evaluation.passes import decide_pair
from pixelwise.machine.devices import choose_device
from pixelwise.observer import SILENT, Observer
from pixelwise.prediction.combinations import unpacked
from pixelwise.prediction.network import prediction_mode
from pixelwise.prediction.outcomes import class_folders
from pixelwise.prediction.overlays import indexed_png, png_of
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.records.folds.division import HELD_OUT
from pixelwise.storage import json_text, write_bytes, write_text
from pixelwise.storage.documents import read_json

MASKS, CONFIDENCE, LABEL = "masks", "confidence", "label"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a network says of the images that its training has not seen.

    Attributes:
        weights_sha256: SHA-256 of its weights.
        protocol: Name of the protocol by which they were predicted.
        names: Id of each image -> name of its files, without ending.
        sure: Ids of the images of which it says how sure it is.
        confusion: Pixel counts in these images, a row per labelled class and a column per predicted one.
        self_confidence: Sum over the pixels labelled as each class of the probability of this class.
    """

    weights_sha256: str
    protocol: str
    names: dict[str, str]
    sure: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    self_confidence: tuple[float, ...]


class Looked(NamedTuple):
    """A prediction of an image.

    Attributes:
        labels: Class ids (H, W), or int32 bit fields.
        confidence: uint8 (H, W), 255 times the probability of the predicted class; None if it is not known.
        of_label: uint8 (H, W), 255 times that of the labelled class, 0 where ignored.
        truth: Labels (H, W).
    """

    labels: np.ndarray
    confidence: np.ndarray | None
    of_label: np.ndarray | None
    truth: np.ndarray


def say(
    run: Path, output: Path, names: Mapping[str, str], observer: Observer = SILENT, *, device: str = "auto"
) -> Said:
    """Predict what a fold holds out and write the files, unless they are there from the same weights.

    Args:
        run: The run folder of the fold.
        output: The folder `out-of-fold`.
        names: Id of each image of the data set -> name of its files.
        observer: Receives progress after every image.
        device: Device that predicts: a finished fold may have been trained on one that is not here.

    Raises:
        CheckpointError: As `load_trained` and `open_run_data`.
        DataError: An image can no longer be read.
        RecipeError: R214, the device cannot be used.
        ResourceError: S601, the disk is full.
    """
    trained = load_trained(run, observer.warn)
    receipt = output / f"{run.name}.json"
    known = read_said(receipt)
    dataset = open_run_data(run, trained.recipe)
    if known is not None and known.weights_sha256 == trained.weights_sha256 and _are_there(known, output, dataset):
        return known
    protocol = find_protocol(trained.recipe.evaluation.protocols[0])
    trained.model.to(choose_device(device))
    classes = len(dataset.classes)
    counts, sums = np.zeros(classes * classes, np.int64), np.zeros(classes)
    sure = []
    samples = dataset.samples(HELD_OUT)
    with prediction_mode(trained.model):
        for done, sample in enumerate(samples, start=1):
            seen = _looked_at(trained, sample, dataset, protocol)
            _write(seen, output, names[sample.id], dataset)
            if seen.of_label is not None:
                sure.append(sample.id)
                inside = seen.truth != IGNORE
                truth, labels = seen.truth[inside].astype(np.int64), seen.labels[inside]
                counts += np.bincount(truth * classes + labels, minlength=len(counts))
                sums += np.bincount(truth, seen.of_label[inside], minlength=classes) / 255
            observer.progress(done, len(samples))
    said = Said(
        weights_sha256=trained.weights_sha256,
        protocol=protocol.name,
        names={sample.id: names[sample.id] for sample in samples},
        sure=tuple(sure),
        confusion=tuple(map(tuple, counts.reshape(classes, classes).tolist())),
        self_confidence=tuple(sums.tolist()),
    )
    write_text(receipt, json_text(said))
    return said


def _are_there(said: Said, output: Path, dataset: Dataset) -> bool:
    """Whether nobody has removed the files since they were written."""
    folders = [MASKS / Path(one) for one in class_folders(dataset.classes)] if dataset.multilabel else [Path(MASKS)]
    every = [output / folder / f"{name}.png" for name in said.names.values() for folder in folders]
    sure = [output / folder / f"{said.names[id]}.png" for id in said.sure for folder in (CONFIDENCE, LABEL)]
    return all(path.is_file() for path in (*every, *sure))


def read_said(receipt: Path) -> Said | None:
    """The content of a receipt; None if it is missing or damaged, so that the images are predicted again."""
    try:
        return read_json(receipt, Said)
    except DataError:
        return None


def _looked_at(trained: TrainedModel, sample: Sample, dataset: Dataset, protocol: Protocol) -> Looked:
    size = trained.recipe.evaluation.input_size
    if is_in_parts(sample.image_path, dataset.reading):
        found = score_in_parts(trained.model, sample, dataset, Rules(protocol, size))
        return Looked(found.prediction, None, None, found.pair.labels)
    image, labels = read_pair(sample, dataset, fit=False)
    (pair,) = pairs_of(sample, image, labels, (protocol,), size)
    decision, bands = decide_pair(trained.model, pair, protocol, every=not dataset.multilabel)
    predicted = decision.labels.cpu().numpy()
    if dataset.multilabel or decision.confidence is None or bands is None:
        return Looked(predicted, None, None, pair.labels)
    of_label = np.zeros(pair.labels.shape, np.uint8)
    for first, found in bands():
        truth = torch.from_numpy(pair.labels[first : first + found.shape[1]].astype(np.int64)).to(found.device)
        ignored = truth == IGNORE
        own = found.gather(0, truth.masked_fill(ignored, 0)[None])[0].masked_fill(ignored, 0.0)
        of_label[first : first + found.shape[1]] = _as_bytes(own)
    return Looked(predicted, _as_bytes(decision.confidence), of_label, pair.labels)


def _as_bytes(probabilities: torch.Tensor) -> np.ndarray:
    """Probabilities as uint8, 255 times each, rounded."""
    return (probabilities.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _write(seen: Looked, output: Path, name: str, dataset: Dataset) -> None:
    if dataset.multilabel:
        for folder, present in zip(
            class_folders(dataset.classes), unpacked(seen.labels, len(dataset.classes)), strict=True
        ):
            _save(output / MASKS / folder / f"{name}.png", png_of(present.astype(np.uint8) * 255))
        return
    _save(output / MASKS / f"{name}.png", indexed_png(seen.labels.astype(np.uint8), dataset.palette))
    if seen.confidence is not None and seen.of_label is not None:
        _save(output / CONFIDENCE / f"{name}.png", png_of(seen.confidence))
        _save(output / LABEL / f"{name}.png", png_of(seen.of_label))


def _save(path: Path, png: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, png)
