"""Evaluation of a model on a split of a data set under one or more protocols, by one process or several.

Pixels are counted as integers in one confusion matrix over the whole split.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from pixelwise.datasets.samples import Dataset
from pixelwise.errors import PixelwiseError
from pixelwise.evaluation import passes
from pixelwise.evaluation.passes import Pass, ScoringOptions
from pixelwise.evaluation.tally import Measurement, Tally
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT, Observer, observing
from pixelwise.options import chosen
from pixelwise.ranks import Ranks
from pixelwise.recipes.protocols import Protocol


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
    scoring = Pass(model, dataset, split, protocols, options, observer)
    ranks, images = options.ranks, len(scoring.samples)
    tallies = scoring.tallies()
    device, done = scoring.device, 0
    scoring.going = lambda: observer.progress(min(done * ranks.world, images), images)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with _together(ranks, tallies, options.thumbnails), scoring.batches(_own_places(images, options)) as batches:
        for batch in batches:
            scoring.add(batch, lambda _: tallies)
            done += len(batch)
            observer.progress(min(done * ranks.world, images), images)
    return [tally.measurement(peak_memory_bytes(device)) for tally in tallies]


def _own_places(images: int, options: ScoringOptions) -> list[int]:
    """The positions, in the split, of the images that this process scores."""
    block, ranks = passes.BLOCK * options.batch_size, options.ranks
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
