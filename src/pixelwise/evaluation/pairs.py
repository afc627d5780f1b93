"""Images and labels for evaluation: decoded and resized in background threads, in order.

Decoding releases the interpreter lock, so a few threads keep the network busy; how far they run
ahead is bounded, so memory does not grow with the data set.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.prediction.background import Item, in_background
from pixelwise.prediction.sizes import floor_index, same_resizing, seen_images
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.transforms.resizing import resize_labels


class EvaluationPair(NamedTuple):
    """One image as the network sees it, and its labels as they are scored.

    Attributes:
        sample: The sample it was read from.
        image: uint8 (h, w, C) at the input size, not yet padded.
        labels: uint8 (H, W) at the score size, 255 = ignore.
        scaled: `image` at each of the protocol's scales, resized from the image's own size.
    """

    sample: Sample
    image: np.ndarray
    labels: np.ndarray
    scaled: tuple[np.ndarray, ...] = ()


def scored_labels(labels: np.ndarray, seen: Size, protocol: Protocol) -> np.ndarray:
    """Labels at the score size, by nearest neighbour.

    Args:
        labels: uint8 (H, W).
        seen: (height, width) of the image as the network sees it.
        protocol: Gives the score size.
    """
    if protocol.score_size == "native":
        return labels
    resize = resize_labels if protocol.argmax_at == "score" else _resize_by_floor
    return resize(labels, seen if protocol.score_size == "input" else protocol.score_size)


def _resize_by_floor(labels: np.ndarray, size: Size) -> np.ndarray:
    rows, columns = (floor_index(length, output) for length, output in zip(labels.shape, size, strict=True))
    return labels if labels.shape == tuple(size) else labels[rows[:, None], columns]


def read_split(
    samples: Sequence[Sample], dataset: Dataset, protocols: Sequence[Protocol], input_size: Size | None, ahead: int
) -> Generator[tuple[EvaluationPair, ...], None, None]:
    """Yield all samples in order, as each protocol wants them, while the next ones are read in the background.

    Args:
        samples: The samples to read.
        dataset: The data set they belong to.
        protocols: Protocols with the same input share the image's memory.
        input_size: Input size where a protocol leaves it open; None: the image's own.
        ahead: Number of pairs that are read ahead at most.

    Raises:
        DataError: As `pixelwise.datasets.reading.pairs.read_pair`, at the pair that is wrong.
    """

    def read(sample: Sample) -> tuple[EvaluationPair, ...]:
        image, labels = read_pair(sample, dataset)
        return pairs_of(sample, image, labels, protocols, input_size)

    return in_background(read, samples, ahead=ahead)


def pairs_of(
    sample: Sample, image: np.ndarray, labels: np.ndarray, protocols: Sequence[Protocol], input_size: Size | None
) -> tuple[EvaluationPair, ...]:
    """One image as each protocol wants it.

    Args:
        sample: The sample that image and labels were read from.
        image: uint8 (H, W, C).
        labels: uint8 (H, W).
        protocols: Protocols with the same input get the same arrays.
        input_size: Input size where a protocol leaves it open; None: the image's own.
    """
    known: dict[tuple[object, ...], tuple[np.ndarray, tuple[np.ndarray, ...]]] = {}
    pairs = []
    for protocol in protocols:
        key = same_resizing(protocol, input_size)
        if key not in known:
            known[key] = seen_images(image, protocol, input_size)
        seen, scaled = known[key]
        scored = scored_labels(labels, (seen.shape[0], seen.shape[1]), protocol)
        pairs.append(EvaluationPair(sample, seen, scored, scaled))
    return tuple(pairs)


def batches_alike(items: Iterable[Item], batch_size: int, key: Callable[[Item], object]) -> Iterator[list[Item]]:
    """Group consecutive items of equal `key`, at most `batch_size` of them."""
    for _, group in itertools.groupby(items, key=key):
        while batch := list(itertools.islice(group, batch_size)):
            yield batch
