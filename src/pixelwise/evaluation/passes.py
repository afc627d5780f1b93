"""One pass over images of a split: they are read, predicted and added to the tallies of some protocols.

Images are decoded in background threads and moved to the device as uint8. The logits of the main head are turned
directly into class ids at the score size, so no full-size float tensor is built. Sliding windows, scales and flips are
in `prediction.windows`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

import torch
from msgspec import Meta
from torch import Tensor

from pixelwise.datasets.classes.agreement import for_network
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.evaluation.large import Rules, score_in_parts
from pixelwise.evaluation.pairs import EvaluationPair, LargePair, batches_alike, read_each
from pixelwise.evaluation.tally import Tally, task_of
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.machine.threads import reading_threads
from pixelwise.metrics import METRICS, SCORES, Metric
from pixelwise.metrics.image import Bands
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer
from pixelwise.options import Options
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
from pixelwise.storage import printable


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
        thumbnails: Receives a small picture of every image, whose counts are then kept too; None for no pictures.
        details: Whether to keep the counts of every image in any case.
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
    details: bool = False
    see: Callable[[EvaluationPair, Tensor], None] | None = None
    ranks: Ranks = ALONE


BLOCK = 4
"""Batches in a row that one process scores: the next ones are scored by the next process. None is cut by their end."""


class Seen(NamedTuple):
    """An image of a split, read and resized.

    Attributes:
        place: Its position in the split.
        pairs: Image and labels for each protocol; empty for an image that is scored in parts.
        large: The sample of such an image.
    """

    place: int
    pairs: tuple[EvaluationPair, ...]
    large: Sample | None = None


class Pass:
    """A model and a split, ready to be scored under some protocols: all of it, or some images at a time.

    Arguments and errors are those of `evaluate_protocols`.

    Attributes:
        samples: The samples of the split.
        dataset: The data set, with the class ids of the model.
        device: The device of the model.
        going: Called after every part of an image in parts; an exception that it raises ends the scoring.
    """

    def __init__(
        self,
        model: SegmentationModel,
        dataset: Dataset,
        split: str,
        protocols: Sequence[Protocol],
        options: ScoringOptions,
        observer: Observer = SILENT,
    ) -> None:
        self.dataset = _with_classes_of(model, dataset)
        _check_channels(model, self.dataset)
        self.samples: Sequence[Sample] = dataset.samples(split)
        self.device = torch.device(options.device) if options.device is not None else next(model.parameters()).device
        model.to(self.device)
        self._model, self._split, self._protocols, self._options = model, split, protocols, options
        self._metrics = _metrics(model, options.metrics)
        self._needs = _Needs(*(any(metric.needs == need for metric in self._metrics) for need in _Needs._fields))
        self._fitted = [fitted_to(protocol, model.fixed_size) for protocol in protocols]
        self._warn, self._observer = Once(observer.warn), observer
        self.going: Callable[[], object] = lambda: None

    def tallies(self, *, cells: bool = False) -> list[Tally]:
        """A new tally for each protocol.

        Args:
            cells: Whether they keep the cells of the confusion matrix of each image.
        """
        options = self._options
        return [
            Tally(
                task_of(self.dataset.classes, protocol, multilabel=self._model.multilabel),
                self._split,
                protocol,
                options.input_size,
                metrics=self._metrics,
                groups=options.groups,
                details=options.details or options.thumbnails is not None,
                cells=cells,
            )
            for protocol in self._protocols
        ]

    @contextlib.contextmanager
    def batches(
        self, places: Sequence[int], failed: Callable[[int, DataError], None] | None = None
    ) -> Iterator[Iterator[list[Seen]]]:
        """Context in which the model is ready, and images are read in the background.

        Batches end at the same places, whichever other images are scored with them: the same images give the same bits.

        Args:
            places: Positions of the images in the split, ascending.
            failed: Receives the position and the error of an image that cannot be read; None to raise the error.

        Yields:
            The batches of images of equal size.
        """
        options = self._options
        ahead = 2 * options.batch_size + reading_threads()
        samples = (self.samples[place] for place in places)
        read = read_each(samples, self.dataset, self._protocols, options.input_size, ahead)
        block = BLOCK * options.batch_size

        def seen() -> Iterator[Seen]:
            for place, pairs in zip(places, read, strict=True):
                if isinstance(pairs, LargePair):
                    yield Seen(place, (), pairs.sample)
                elif not isinstance(pairs, DataError):
                    yield Seen(place, pairs)
                elif failed is None:
                    raise pairs
                else:
                    failed(place, pairs)

        def key(one: Seen) -> object:
            return one.place // block, [pair.image.shape for pair in one.pairs]

        with contextlib.closing(read), prediction_mode(self._model):
            yield batches_alike(seen(), options.batch_size, key)

    def add(self, batch: Sequence[Seen], tallies_of: Callable[[int], Sequence[Tally]]) -> None:
        """Predict a batch and add each of its images to tallies.

        Args:
            batch: Images of equal size.
            tallies_of: The tallies to which the image of a position in the split is added, one for each protocol.
        """
        model, options = self._model, self._options
        if batch[0].large is not None:
            for one in batch:
                self._add_large(one, tallies_of(one.place))
            return
        for pair, protocol in zip(batch[0].pairs, self._protocols, strict=True):
            (height, width), labels = pair.image.shape[:2], pair.labels
            self._warn(deviations(model, protocol, (height, width), (labels.shape[0], labels.shape[1])))
        for indices in _sharing([one.pairs for one in batch], self._fitted):
            columns = [[one.pairs[i] for one in batch] for i in indices]
            shared = [self._fitted[i] for i in indices]
            rows = _predicted(model, columns, shared, options.precision, self._needs)
            for one, row in zip(batch, rows, strict=True):
                for index, found in zip(indices, row, strict=True):
                    tally = tallies_of(one.place)[index]
                    tally.add(found.pair, *found.decision, found.probabilities, index=one.place)
                    if options.see is not None:
                        options.see(found.pair, found.decision.labels)
        if options.thumbnails is not None:
            for one in batch:
                options.thumbnails.add(one.place, one.pairs[0].image, one.pairs[0].size)

    def _add_large(self, one: Seen, tallies: Sequence[Tally]) -> None:
        """Score an image in parts."""
        if one.large is None:
            raise AssertionError("the image was read whole")
        options = self._options
        for number, tally in enumerate(tallies):
            rules = Rules(tally.protocol, options.input_size, options.precision)
            found = score_in_parts(self._model, one.large, self.dataset, rules, self.going)
            if names := tally.add_counts(one.large.id, found.counts, index=one.place):
                name = printable(one.large.id)
                self._observer.note(f"not measured: {', '.join(names)}, because {name} is scored in parts")
            if options.see is not None:
                options.see(found.pair, torch.from_numpy(found.prediction))
            if number == 0 and options.thumbnails is not None:
                options.thumbnails.add(one.place, found.pair.image, found.size)


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


def _sharing(batch: Sequence[Sequence[EvaluationPair]], protocols: Sequence[Protocol]) -> list[list[int]]:
    """Groups of protocols, by position, that give the network the same input for every image of a batch.

    The arrays are compared, not the settings: an image that already has the required size is the same under all.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, protocol in enumerate(protocols):
        seen = tuple(id(array) for pairs in batch for array in (pairs[index].image, *pairs[index].scaled))
        windows = protocol.window, protocol.window_stride, protocol.even_windows, protocol.blend
        looks = protocol.pad_to, *windows, protocol.scales, protocol.flip
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


def decide_pair(
    model: SegmentationModel, pair: EvaluationPair, protocol: Protocol, *, every: bool = False
) -> tuple[Decision, Bands | None]:
    """As `predict_pair`, with how sure the network is, where it gives probabilities.

    Args:
        model: The network, in evaluation mode.
        pair: The image and its labels, resized as the protocol requires.
        protocol: Protocol by which the image is predicted.
        every: Whether to yield the probabilities of all classes also where there is one class per pixel.

    Returns:
        The decision, with the probability of each predicted class if there is one class per pixel; and for a
        multi-label network, or with `every`, a function that yields the probabilities of all classes.
    """
    given, several = model.gives_scores, model.multilabel
    needs = _Needs(confidence=given and not several, probabilities=given and (several or every))
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
