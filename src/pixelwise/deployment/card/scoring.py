"""Scores of the variants of a network on the same images, against the labels and against PyTorch."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np

from pixelwise.checkpoints.trained import TrainedModel
from pixelwise.deployment.card.images import ComparisonImages
from pixelwise.evaluation.assembling import Origin
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.runs import origin_of
from pixelwise.evaluation.subject import Subject, score
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Callbacks, Observer
from pixelwise.prediction.network import prediction_mode, seen_labels
from pixelwise.profiling.runtimes import EAGER
from pixelwise.recipes.schema.training import Precision
from pixelwise.records.environment import Ancestor
from pixelwise.runtimes import ArtefactModel
from pixelwise.runtimes.targets import find_target
from pixelwise.storage import printable


def score_pytorch(
    trained: TrainedModel,
    images: ComparisonImages,
    runtime: str,
    output: Path,
    observer: Observer = SILENT,
    *,
    derived_from: tuple[Ancestor, ...] = (),
) -> float | None:
    """Score the run's network on the CPU and store the result in `output/RUNTIME/evaluations`.

    Args:
        trained: The run's network.
        images: Images to score it on.
        runtime: Key of `EAGER`, which chooses the number format and memory layout.
        output: The card's folder.
        observer: Receives the number of images scored; the phase stays the caller's.
        derived_from: The networks that the weights were derived from.

    Returns:
        Mean IoU, 0..1; None without labels.
    """
    subject = _subject(trained.model, origin_of(trained, derived_from=derived_from), images, output / runtime)
    if subject is None:
        return None
    return _miou(msgspec.structs.replace(subject, precision=EAGER[runtime].precision), observer)


def score_artefact(
    artefact: ArtefactModel,
    folder: Path,
    images: ComparisonImages,
    observer: Observer = SILENT,
    *,
    named: Path | None = None,
) -> float | None:
    """Score an artefact and store the result in its folder.

    Args:
        artefact: Artefact to score.
        folder: The artefact's folder.
        images: Images to score it on.
        observer: Receives the number of images scored; the phase stays the caller's.
        named: Where the folder will be found later, for the command that repeats the result; None if it stays.

    Returns:
        Mean IoU, 0..1; None without labels.

    Raises:
        CheckpointError: K463, the runtime fails.
    """
    sidecar = artefact.sidecar
    origin = Origin(
        recipe=sidecar.recipe_name,
        recipe_hash=sidecar.recipe_hash,
        weights_sha256=sidecar.files_sha256,
        weights="model",
        step=0,
        derived_from=sidecar.licence.derived_from,
    )
    subject = _subject(artefact, origin, images, folder)
    if subject is None:
        return None
    words = ("pixelwise", "evaluate", printable(named or folder))
    data = () if images.folder is None else ("--data", printable(Path(images.folder)))
    return _miou(msgspec.structs.replace(subject, command=(*words, *data)), observer)


def _subject(model: SegmentationModel, origin: Origin, images: ComparisonImages, folder: Path) -> Subject | None:
    if images.dataset is None:
        return None
    return Subject(
        model=model,
        origin=origin,
        dataset=images.dataset,
        split=images.split,
        protocols=(images.protocol,),
        input_size=images.input_size,
        batch_size=images.batch_size,
        folder=folder,
        data=printable(images.folder or ""),
    )


def _miou(subject: Subject, observer: Observer) -> float | None:
    # The caller has already named what is being scored, which says more than the phase of an evaluation.
    within = Callbacks(observer.progress, observer.warn)
    (result,) = score(subject, EvaluateOptions(device="cpu", boundary=False, trust=_needs_trust(subject.model)), within)
    return None if math.isnan(result.miou) else result.miou


def _needs_trust(model: SegmentationModel) -> bool:
    """Whether the command that scores an artefact again has to say that its maker may run code."""
    return isinstance(model, ArtefactModel) and bool(find_target(model.sidecar.runtime).runs_code)


def equal_pixels(
    reference: SegmentationModel,
    model: SegmentationModel,
    images: ComparisonImages,
    precision: Precision = Precision(),  # noqa: B008 (immutable)
) -> float:
    """Share of pixels, at the network's input size and over all images, to which two networks assign the same class.

    Args:
        reference: Reference network, run in float32.
        model: Network to compare with it.
        images: Images to predict.
        precision: Number format and memory layout of `model`.

    Raises:
        CheckpointError: K463, a runtime fails.
    """
    equal = pixels = 0
    with prediction_mode(reference), prediction_mode(model):
        for image in images.read():
            pixels_of = np.array(image)  # a copy: decoded images may be read-only
            one = seen_labels(reference, pixels_of, Precision())
            other = seen_labels(model, pixels_of, precision)
            equal, pixels = equal + int((one == other).sum()), pixels + one.numel()
    return equal / pixels if pixels else 0.0
