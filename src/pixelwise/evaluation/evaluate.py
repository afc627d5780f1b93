"""Evaluation of a model on a split of a data set under one or more protocols.

Images are decoded in background threads and moved to the device as uint8. The logits of the main head are turned
directly into class ids at the score size, so no full-size float tensor is built. Pixels are counted as integers in one
confusion matrix over the whole split. Sliding windows, scales and flips are in `prediction.windows`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import torch
from msgspec import Meta
from torch import Tensor

from pixelwise.datasets.classes.agreement import for_network
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import CheckpointError, PixelwiseError, RecipeError
from pixelwise.evaluation.large import LargeImages
from pixelwise.evaluation.pairs import EvaluationPair, LargePair, batches_alike, read_split, shapes_of
from pixelwise.evaluation.tally import Measurement, Tally, task_of
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.machine.threads import reading_threads
from pixelwise.metrics import METRICS, SCORES, Metric
from pixelwise.metrics.image import Bands
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer, observing
from pixelwise.options import Options, chosen
from pixelwise.prediction.deviations import Once, deviations
from pixelwise.prediction.network import (
    Decision,
    NetworkOutput,
    decide,
    main_logits,
    prediction_mode,
    probability_bands,
    views_of,
)
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.training import Precision
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.inference import fitted_to


class ScoringOptions(Options, frozen=True, kw_only=True):
    """Options of one pass over a split.

    Attributes:
        input_size: (height, width) of the network's input if the protocol leaves it open; None for the image's own
            size.
        batch_size: Largest number of consecutive images of equal size per forward pass.
        device: Device to run on; None for that of the model.
        precision: Number format and memory layout; an autocast around the call applies in any case.
        metrics: Names of metrics to measure in addition to `pixelwise.metrics.SCORES`.
        groups: Sample id -> name of its group, for every image of the split; None to score no groups.
        thumbnails: Receives a small picture of every image, whose counts are then kept too; None for neither.
        see: Called with every image and its prediction, class ids (H, W) or int32 bit fields, under each protocol.
        ranks: The processes that score together. Each scores its part of the images; all get the result of all of them.
            `see` gets those of its own process, and `thumbnails` is complete in the first one.
    """

    input_size: Size | None = None
    batch_size: Annotated[int, Meta(ge=1)] = 1
    device: torch.device | str | None = None
    precision: Precision = Precision()
    metrics: tuple[str, ...] = ()
    groups: Mapping[str, str] | None = None
    thumbnails: Thumbnails | None = None
    see: Callable[[EvaluationPair, Tensor], None] | None = None
    ranks: Ranks = ALONE


BLOCK = 16
"""Batches in a row that one process scores: the next ones are scored by the next process."""


def evaluate_model(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocol: Protocol,
    options: ScoringOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Measurement:
    """Score `model` on `split` of `dataset` under `protocol`.

    The model is moved to the device; the training or evaluation mode of each of its modules is restored at the end. On
    a GPU the peak memory statistics are reset.

    Args:
        model: The network.
        dataset: The opened data set.
        split: Name of the split.
        protocol: Size and rules by which predictions and labels are compared.
        options: Options of the pass; None for the defaults.
        observer: Receives progress after every batch. An exception that it raises, such as `StoppedError`, ends the
            evaluation without a result.
        changes: Single fields of `ScoringOptions`.

    Raises:
        DataError: D221, there is no such split; others, an image or a mask is missing or faulty.
        CheckpointError: K406, the classes of the model are not those of the data set; K407, its channels are not those
            of the images.
        RecipeError: R203, a metric is not defined for this network; R225, there is no such metric.
    """
    (measurement,) = evaluate_protocols(model, dataset, split, (protocol,), options, observer=observer, **changes)
    return measurement


def evaluate_protocols(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocols: Sequence[Protocol],
    options: ScoringOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> list[Measurement]:
    """Score `model` under several protocols in one pass over the data.

    The classes of the data set are matched by name with those of the model, as
    `pixelwise.datasets.classes.agreement.for_network` explains. Each image is decoded once, and predicted once for all
    protocols with the same network input. An artefact of one size sees images through windows of its size wherever a
    protocol shows them at another one; the observer is warned of it. Arguments and errors are those of
    `evaluate_model`.

    Returns:
        One measurement per protocol.
    """
    observer = observing(observer, changes)
    options = chosen(ScoringOptions, options, changes)
    dataset = _with_classes_of(model, dataset)
    _check_channels(model, dataset)
    everything, ranks = dataset.samples(split), options.ranks
    places = _own_places(len(everything), options)
    samples = [everything[place] for place in places]
    device = torch.device(options.device) if options.device is not None else next(model.parameters()).device
    model.to(device)
    metrics = _metrics(model, options.metrics)
    needs = _Needs(*(any(metric.needs == need for metric in metrics) for need in _Needs._fields))
    tallies = [_tally(model, dataset, split, protocol, options, metrics) for protocol in protocols]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    read = read_split(samples, dataset, protocols, options.input_size, ahead=2 * options.batch_size + reading_threads())
    fitted = (fitted_to(protocol, model.fixed_size) for protocol in protocols)
    rows = [_Row(*row) for row in zip(protocols, fitted, tallies, strict=True)]
    done, total, warn = 0, len(everything), Once(observer.warn)
    large = LargeImages(
        model, dataset, tallies, options.precision, options.input_size, (options.see, options.thumbnails), observer
    )
    with _together(ranks, tallies, options.thumbnails), contextlib.closing(read), prediction_mode(model):
        for batch in batches_alike(read, options.batch_size, shapes_of):
            going = functools.partial(observer.progress, done * ranks.world, total)
            if not large.take(batch, places[done:], going):
                pairs = [pair for pair in batch if not isinstance(pair, LargePair)]
                _add(model, pairs, places[done:], rows, options, needs, warn)
            done += len(batch)
            observer.progress(min(done * ranks.world, total), total)
    return [tally.measurement(peak_memory_bytes(device)) for tally in tallies]


class _Row(NamedTuple):
    """A protocol, the protocol as the network can follow it, and what receives its scores."""

    protocol: Protocol
    fitted: Protocol
    tally: Tally


def _add(
    model: SegmentationModel,
    batch: Sequence[tuple[EvaluationPair, ...]],
    places: Sequence[int],
    rows: Sequence[_Row],
    options: ScoringOptions,
    needs: _Needs,
    warn: Once,
) -> None:
    """Score a batch under every protocol; `places` are the positions of its images in the split."""
    for index, row in enumerate(rows):
        image, labels = batch[0][index].image, batch[0][index].labels
        warn(deviations(model, row.protocol, (image.shape[0], image.shape[1]), (labels.shape[0], labels.shape[1])))
    for indices in _sharing(batch, [row.fitted for row in rows]):
        columns, shared = [[pairs[i] for pairs in batch] for i in indices], [rows[i].fitted for i in indices]
        for place, scored in zip(places, _predicted(model, columns, shared, options.precision, needs), strict=False):
            for index, found in zip(indices, scored, strict=True):
                rows[index].tally.add(found.pair, *found.decision, found.probabilities, index=place)
                if options.see is not None:
                    options.see(found.pair, found.decision.labels)
    if options.thumbnails is not None:
        for place, pairs in zip(places, batch, strict=False):
            options.thumbnails.add(place, pairs[0].image, pairs[0].size)


def _own_places(images: int, options: ScoringOptions) -> list[int]:
    """The positions, in the split, of the images that this process scores."""
    block, ranks = BLOCK * options.batch_size, options.ranks
    return [place for place in range(images) if place // block % ranks.world == ranks.rank]


@contextlib.contextmanager
def _together(ranks: Ranks, tallies: Sequence[Tally], thumbnails: Thumbnails | None) -> Iterator[None]:
    """Context of a process's part of an evaluation, at whose end it knows the other parts.

    Raises:
        PixelwiseError: The error of any process, in all of them.
    """
    if ranks.world == 1:
        yield
        return
    failed: PixelwiseError | None = None
    try:
        yield
    except PixelwiseError as error:
        failed = error
    pictures = thumbnails.taken() if thumbnails is not None else []
    parts = ranks.gather_objects((failed, tallies, pictures))
    if (error := next((error for error, _, _ in parts if error is not None), None)) is not None:
        raise error
    for rank, (_, others, _) in enumerate(parts):
        if rank != ranks.rank:
            for mine, theirs in zip(tallies, others, strict=True):
                mine.merge(theirs)
    if thumbnails is not None and ranks.first:
        thumbnails.put([one for _, _, seen in parts for one in seen])


class _Needs(NamedTuple):
    """Outputs that metrics need besides class ids; the fields are named as in `pixelwise.metrics.metric.Needs`."""

    confidence: bool = False
    probabilities: bool = False


class _Scored(NamedTuple):
    """Labels and prediction of an image under one protocol."""

    pair: EvaluationPair
    decision: Decision
    probabilities: Bands | None


def _metrics(model: SegmentationModel, names: Sequence[str]) -> list[Metric]:
    """The metrics of these names, without those that are always measured.

    Raises:
        RecipeError: R203, a metric is not defined for this network; R225, there is no such metric.
    """
    metrics = [METRICS.find(name) for name in dict.fromkeys(names) if name not in SCORES]
    for metric in metrics:
        if (refusal := refusal_of(metric, model)) is not None:
            raise refusal
    return metrics


def refusal_of(metric: Metric, model: SegmentationModel) -> RecipeError | None:
    """The error (R203) for a metric that is not defined for a network; None if it is."""
    if model.multilabel and not metric.multilabel:
        return RecipeError(
            "R203",
            f"{metric.title} ({metric.name}) is not defined for multi-label models, which decide per class, not "
            "once per pixel",
            "leave that metric out",
        )
    if metric.needs in _Needs._fields and not model.gives_scores:
        return RecipeError(
            "R203",
            f"{metric.title} ({metric.name}) needs probabilities, but this artefact outputs class ids only",
            "leave that metric out, or export the run again without `argmax`",
        )
    return None


def _tally(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocol: Protocol,
    options: ScoringOptions,
    metrics: Sequence[Metric],
) -> Tally:
    task = task_of(dataset.classes, protocol, multilabel=model.multilabel)
    details = options.thumbnails is not None
    return Tally(task, split, protocol, options.input_size, metrics=metrics, groups=options.groups, details=details)


def _sharing(batch: Sequence[Sequence[EvaluationPair]], protocols: Sequence[Protocol]) -> list[list[int]]:
    """Groups of protocols, by position, that give the network the same input for every image of a batch.

    The arrays are compared, not the settings: an image that already has the required size is the same under all.
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
    needs: _Needs,
) -> Iterator[list[_Scored]]:
    """For each image of a batch, its labels and prediction under every protocol.

    Args:
        model: The network, in evaluation mode.
        columns: The pairs of the batch, for each protocol.
        protocols: Protocols with the same network input.
        precision: Number format and memory layout.
        needs: Outputs that are needed besides class ids.
    """
    first = protocols[0]
    if first.one_look:
        logits = main_logits(model, [pair.image for pair in columns[0]], precision, pad_to=first.pad_to)
        outputs: Iterator[NetworkOutput] = iter(logits.split(1))
    else:
        keep = len(protocols) > 1 or needs.probabilities
        outputs = (views_of(model, pair.scaled, first, precision, keep=keep) for pair in columns[0])
    for output, pairs in zip(outputs, zip(*columns, strict=True), strict=True):
        yield [_scored(model, output, pair, protocol, needs) for pair, protocol in zip(pairs, protocols, strict=True)]


def _scored(
    model: SegmentationModel, output: NetworkOutput, pair: EvaluationPair, protocol: Protocol, needs: _Needs
) -> _Scored:
    (height, width), (seen_height, seen_width) = pair.labels.shape, pair.image.shape[:2]
    sizes = (seen_height, seen_width), (height, width)
    decision = decide(model, output, *sizes, protocol, confidence=needs.confidence)
    bands = functools.partial(probability_bands, model, output, *sizes, protocol) if needs.probabilities else None
    return _Scored(pair, decision, bands)


def predict_pair(model: SegmentationModel, pair: EvaluationPair, protocol: Protocol) -> Tensor:
    """Class ids (H, W) of one image at the size of its labels, as `evaluate_model` scores them.

    Args:
        model: The network, in evaluation mode.
        pair: The image and its labels, resized as the protocol requires.
        protocol: Protocol by which the image is predicted.
    """
    return _predict_pair(model, pair, protocol, _Needs()).decision.labels


def decide_pair(model: SegmentationModel, pair: EvaluationPair, protocol: Protocol) -> tuple[Decision, Bands | None]:
    """As `predict_pair`, with how sure the network is, where it gives probabilities.

    Returns:
        The decision, with the probability of each predicted class if there is one class per pixel; and for a
        multi-label network a function that yields the probabilities of all classes.
    """
    needs = _Needs(
        confidence=model.gives_scores and not model.multilabel, probabilities=model.gives_scores and model.multilabel
    )
    found = _predict_pair(model, pair, protocol, needs)
    return found.decision, found.probabilities


def _predict_pair(model: SegmentationModel, pair: EvaluationPair, protocol: Protocol, needs: _Needs) -> _Scored:
    ((found,),) = _predicted(model, [[pair]], [fitted_to(protocol, model.fixed_size)], Precision(), needs)
    return found


def _with_classes_of(model: SegmentationModel, dataset: Dataset) -> Dataset:
    """The data set with the class ids of the model; K406 if it has other classes, or several per pixel."""
    if model.multilabel != dataset.multilabel:
        kinds = {True: "several classes per pixel (multi-label)", False: "one class per pixel"}
        raise CheckpointError(
            "K406",
            f"the model predicts {kinds[model.multilabel]}, but the data set has {kinds[dataset.multilabel]}",
            "evaluate on the data set it was trained for, or train on this one",
        )
    return for_network(dataset, model.classes)


def _check_channels(model: SegmentationModel, dataset: Dataset) -> None:
    """Raise K407 unless the images have as many channels as the input of the model."""
    expected, channels = model.preprocessing.in_channels, dataset.reading.channels
    found = 3 if channels is None else len(channels)
    if found != expected:
        read = "as RGB" if channels is None else f"with the channels {list(channels)}"
        raise CheckpointError(
            "K407",
            f"the model takes {expected} channel{'s' if expected > 1 else ''}, but the images are read {read}",
            "evaluate the run, whose recipe names the channels, or open the data with the same data.channels",
        )
