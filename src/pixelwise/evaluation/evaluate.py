"""Model + data set + protocol -> measurement.

Images are decoded in background threads and move as uint8; the logits of the main head go straight
to class ids at the score size, so no full-size float tensor is built; counting is exact integers in
one confusion matrix over the whole split. Windows, scales and mirrored images are in `prediction.windows`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import torch
from msgspec import Meta
from torch import Tensor

from pixelwise.datasets.samples import Dataset
from pixelwise.errors import CheckpointError, RecipeError, StoppedError
from pixelwise.evaluation.pairs import EvaluationPair, batches_alike, read_split
from pixelwise.evaluation.tally import Measurement, Tally, task_of
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.machine.threads import reading_threads
from pixelwise.metrics import METRICS, SCORES, Metric
from pixelwise.metrics.image import Bands
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer, observing
from pixelwise.options import Options, chosen
from pixelwise.prediction.network import (
    Answer,
    Decided,
    decide,
    main_logits,
    prediction_mode,
    probability_bands,
    views_of,
)
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.training import Precision
from pixelwise.recipes.sizes import Size


class ScoringOptions(Options, frozen=True, kw_only=True):
    """How one pass over a split is made, and what is measured in it.

    Attributes:
        input_size: (height, width) that the network sees where the protocol leaves it open; None: the image's own.
        batch_size: Consecutive images of equal size per forward pass.
        device: Where the network computes; None: where the model is.
        precision: Number format (an autocast around the call is respected anyway) and layout.
        metrics: Names of metrics that are measured besides `pixelwise.metrics.SCORES`.
        groups: Sample id -> name of its group, for every image of the split; None: no groups are scored.
    """

    input_size: Size | None = None
    batch_size: Annotated[int, Meta(ge=1)] = 1
    device: torch.device | str | None = None
    precision: Precision = Precision()
    metrics: tuple[str, ...] = ()
    groups: Mapping[str, str] | None = None


def evaluate_model(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocol: Protocol,
    options: ScoringOptions | None = None,
    *,
    observer: Observer = SILENT,
    should_stop: Callable[[], bool] | None = None,
    **changes: Any,
) -> Measurement:
    """Score `model` on `split` of `dataset` under `protocol`.

    The model is moved to the device; the mode of each of its modules is put back at the end. On a GPU
    the peak memory statistics are reset.

    Args:
        model: The network.
        dataset: The opened data.
        split: Name of a split.
        protocol: Where and how predictions and labels are compared.
        options: How the pass is made and what is measured.
        observer: Told of every batch.
        should_stop: Asked before every batch; True ends the evaluation with `StoppedError`.
        changes: Single fields of `ScoringOptions`.

    Raises:
        DataError: D221 no such split; an image or mask is missing or wrong.
        CheckpointError: K406, the model's classes are not the data set's; K407, nor its channels the images'.
        RecipeError: R225, there is no such metric; R203, a metric is not defined for this network.
        StoppedError: I074, `should_stop` said so: the score of some of the images must not be mistaken for a result.
    """
    (measurement,) = evaluate_protocols(
        model, dataset, split, (protocol,), options, observer=observer, should_stop=should_stop, **changes
    )
    return measurement


def evaluate_protocols(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocols: Sequence[Protocol],
    options: ScoringOptions | None = None,
    *,
    observer: Observer = SILENT,
    should_stop: Callable[[], bool] | None = None,
    **changes: Any,
) -> list[Measurement]:
    """Score `model` under several protocols in one pass over the data.

    Each image is decoded once, and predicted once for all protocols under which the network sees the same.

    Arguments and errors are those of `evaluate_model`, but for `protocols`: where and how predictions and
    labels are compared.

    Returns:
        One measurement per protocol.
    """
    observer = observing(observer, changes)
    options = chosen(ScoringOptions, options, changes)
    _check_classes(model, dataset)
    _check_channels(model, dataset)
    samples = dataset.samples(split)
    device = torch.device(options.device) if options.device is not None else next(model.parameters()).device
    model.to(device)
    metrics = _metrics(model, options.metrics)
    wanted = _Wanted(*(any(metric.needs == need for metric in metrics) for need in _Wanted._fields))
    tallies = [_tally(model, dataset, split, protocol, options, metrics) for protocol in protocols]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    read = read_split(samples, dataset, protocols, options.input_size, ahead=2 * options.batch_size + reading_threads())
    done = 0
    with contextlib.closing(read), prediction_mode(model):
        for batch in batches_alike(read, options.batch_size, lambda pairs: [pair.image.shape for pair in pairs]):
            if should_stop is not None and should_stop():
                raise StoppedError(
                    "I074", f"the evaluation of {split} was stopped after {done} of {len(samples)} images"
                )
            for indices in _sharing(batch, protocols):
                columns, shared = [[pairs[i] for pairs in batch] for i in indices], [protocols[i] for i in indices]
                for row in _predicted(model, columns, shared, options.precision, wanted):
                    for index, found in zip(indices, row, strict=True):
                        tallies[index].add(found.pair, *found.decided, found.probabilities)
            done += len(batch)
            observer.progress(done, len(samples))
    return [tally.measurement(peak_memory_bytes(device)) for tally in tallies]


class _Wanted(NamedTuple):
    """What metrics want of an image besides class ids; the fields are named as in `pixelwise.metrics.metric.Needs`."""

    confidence: bool = False
    probabilities: bool = False


class _Found(NamedTuple):
    """What one protocol scores of an image."""

    pair: EvaluationPair
    decided: Decided
    probabilities: Bands | None


def _metrics(model: SegmentationModel, names: Sequence[str]) -> list[Metric]:
    """The metrics of these names, but those that are measured anyway.

    Raises:
        RecipeError: R225, there is no such metric; R203, one is not defined for this network.
    """
    metrics = [METRICS.find(name) for name in dict.fromkeys(names) if name not in SCORES]
    for metric in metrics:
        if model.multilabel and not metric.multilabel:
            raise RecipeError(
                "R203",
                f"{metric.title} ({metric.name}) is not defined for multi-label models, which decide per class, not "
                "once per pixel",
                "leave that metric out",
            )
        if metric.needs in _Wanted._fields and not model.gives_scores:
            raise RecipeError(
                "R203",
                f"{metric.title} ({metric.name}) needs probabilities; this artefact gives class ids only",
                "leave that metric out, or export the run again without `argmax`",
            )
    return metrics


def _tally(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocol: Protocol,
    options: ScoringOptions,
    metrics: Sequence[Metric],
) -> Tally:
    task = task_of(dataset.classes, protocol, multilabel=model.multilabel)
    return Tally(task, split, protocol, options.input_size, metrics=metrics, groups=options.groups)


def _sharing(batch: Sequence[Sequence[EvaluationPair]], protocols: Sequence[Protocol]) -> list[list[int]]:
    """The protocols under which the network sees the same of every image of a batch, by their positions.

    What counts are the arrays, not the settings: an image that has the wanted size already is the same under all.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, protocol in enumerate(protocols):
        seen = tuple(id(array) for pairs in batch for array in (pairs[index].image, *pairs[index].scaled))
        looks = protocol.pad_to, protocol.window, protocol.window_stride, protocol.blend, protocol.scales, protocol.flip
        groups.setdefault((seen, *looks), []).append(index)
    return list(groups.values())


def _predicted(
    model: SegmentationModel,
    columns: Sequence[Sequence[EvaluationPair]],
    protocols: Sequence[Protocol],
    precision: Precision,
    wanted: _Wanted,
) -> Iterator[list[_Found]]:
    """For each image of a batch what every protocol of the same input scores.

    Args:
        model: In evaluation mode.
        columns: Per protocol the batch's pairs.
        protocols: All with the same input.
        precision: Number format and layout.
        wanted: What is wanted besides class ids.
    """
    first = protocols[0]
    if first.one_look:
        logits = main_logits(model, [pair.image for pair in columns[0]], precision, pad_to=first.pad_to)
        answers: Iterator[Answer] = iter(logits.split(1))
    else:
        keep = len(protocols) > 1 or wanted.probabilities
        answers = (views_of(model, pair.scaled, first, precision, keep=keep) for pair in columns[0])
    for answer, pairs in zip(answers, zip(*columns, strict=True), strict=True):
        yield [_found(model, answer, pair, protocol, wanted) for pair, protocol in zip(pairs, protocols, strict=True)]


def _found(
    model: SegmentationModel, answer: Answer, pair: EvaluationPair, protocol: Protocol, wanted: _Wanted
) -> _Found:
    (height, width), (seen_height, seen_width) = pair.labels.shape, pair.image.shape[:2]
    sizes = (seen_height, seen_width), (height, width)
    decided = decide(model, answer, *sizes, protocol, confidence=wanted.confidence)
    bands = functools.partial(probability_bands, model, answer, *sizes, protocol) if wanted.probabilities else None
    return _Found(pair, decided, bands)


def predict_pair(model: SegmentationModel, pair: EvaluationPair, protocol: Protocol) -> Tensor:
    """Class ids (H, W) of one image at the size of its labels, as `evaluate_model` scores them.

    Args:
        model: In evaluation mode.
        pair: The image as the protocol wants it.
        protocol: How it is predicted.
    """
    ((found,),) = _predicted(model, [[pair]], [protocol], Precision(), _Wanted())
    return found.decided.labels


def _check_classes(model: SegmentationModel, dataset: Dataset) -> None:
    """Raise K406 unless model and data set have the same number of classes.

    Renamed classes are accepted; the same names in another order are not.
    """
    if model.multilabel != dataset.multilabel:
        kinds = {True: "several classes per pixel (multi-label)", False: "one class per pixel"}
        raise CheckpointError(
            "K406",
            f"the model predicts {kinds[model.multilabel]}, but the data set has {kinds[dataset.multilabel]}",
            "evaluate on the data set it was trained for, or train on this one",
        )
    ours, theirs = model.classes, dataset.classes
    reordered = ours != theirs and sorted(ours) == sorted(theirs)
    if model.num_classes == len(theirs) and not reordered:
        return
    difference = (
        f"the same classes in another order ({', '.join(ours[:4])}, ... against {', '.join(theirs[:4])}, ...)"
        if reordered
        else f"{model.num_classes} classes ({', '.join(ours[:4])}, ...) but the data set has {len(theirs)} "
        f"({', '.join(theirs[:4])}, ...)"
    )
    raise CheckpointError(
        "K406",
        f"the model predicts {difference}",
        "evaluate on the data set it was trained for, or map its masks with data.classes and data.label_map",
    )


def _check_channels(model: SegmentationModel, dataset: Dataset) -> None:
    """Refuse images of other channels than the model's input."""
    expected, channels = model.preprocessing.in_channels, dataset.reading.channels
    found = 3 if channels is None else len(channels)
    if found != expected:
        read = "as RGB" if channels is None else f"with the channels {list(channels)}"
        raise CheckpointError(
            "K407",
            f"the model takes {expected} channel{'s' if expected > 1 else ''}, the images are read {read}",
            "evaluate the run, whose recipe says which channels, or open the data with its data.channels",
        )
