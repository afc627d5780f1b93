"""Images and labels for evaluation, decoded and resized in order by background threads.

Decoding releases the interpreter lock, so a few threads keep the network busy. The number of images read ahead is
bounded, so memory does not grow with the data set.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.reading.ahead import fetched_ahead
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.reading.regions.pairs import is_in_parts
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.prediction.background import Item, in_background
from pixelwise.prediction.sizes import floor_index, same_resizing, seen_images
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.transforms.resizing import resize_labels


class EvaluationPair(NamedTuple):
    """An image as the network sees it, and its labels as they are scored.

    Attributes:
        sample: The sample that was read.
        image: uint8 (h, w, C) at the input size, not yet padded.
        labels: uint8 (H, W) at the score size, 255 = ignored.
        scaled: The image at each of the protocol's scales, resized from its own size.
    """

    sample: Sample
    image: np.ndarray
    labels: np.ndarray
    scaled: tuple[np.ndarray, ...] = ()

    @property
    def size(self) -> Size:
        """(height, width) at which the image is scored."""
        return self.labels.shape[0], self.labels.shape[1]


class LargePair(NamedTuple):
    """An image, with its labels, that is too large to be decoded whole.

    Attributes:
        sample: The sample, of which nothing was read.
        error: The error of reading it whole.
    """

    sample: Sample
    error: DataError


def scored_labels(labels: np.ndarray, seen: Size, protocol: Protocol) -> np.ndarray:
    """Labels at the score size, by nearest neighbour.

    Args:
        labels: Labels uint8 (H, W).
        seen: (height, width) of the image as the network sees it.
        protocol: Protocol with the score size.
    """
    if protocol.score_size == "native":
        return labels
    resize = resize_labels if protocol.argmax_at == "score" else _resize_by_floor
    return resize(labels, seen if protocol.score_size == "input" else protocol.score_size)


def _resize_by_floor(labels: np.ndarray, size: Size) -> np.ndarray:
    rows, columns = (floor_index(length, output) for length, output in zip(labels.shape, size, strict=True))
    return labels if labels.shape == tuple(size) else labels[rows[:, None], columns]


Pairs = tuple[EvaluationPair, ...]
"""An image and its labels, resized for each of some protocols."""


def read_split(
    samples: Iterable[Sample], dataset: Dataset, protocols: Sequence[Protocol], input_size: Size | None, ahead: int
) -> Generator[Pairs, None, None]:
    """Yield all samples in order, resized for each protocol, while the next ones are read in the background.

    Args:
        samples: The samples to read.
        dataset: The data set they belong to.
        protocols: Protocols to resize for; those with the same input share the memory of the image.
        input_size: Input size if a protocol leaves it open; None for the image's own size.
        ahead: Largest number of pairs that are read ahead.

    Raises:
        DataError: As `pixelwise.datasets.reading.pairs.read_pair`, when the faulty pair is reached.
    """
    with contextlib.closing(read_each(samples, dataset, protocols, input_size, ahead)) as found:
        for one in found:
            if isinstance(one, DataError):
                raise one
            if isinstance(one, LargePair):
                raise one.error
            yield one


def read_each(
    samples: Iterable[Sample], dataset: Dataset, protocols: Sequence[Protocol], input_size: Size | None, ahead: int
) -> Generator[Pairs | LargePair | DataError, None, None]:
    """As `read_split`, with the error of a faulty pair in its place; large pairs are named and not read."""

    def read(sample: Sample) -> Pairs | LargePair | DataError:
        try:
            image, labels = read_pair(sample, dataset, fit=False)
        except DataError as error:
            in_parts = error.code == "D120" and is_in_parts(sample.image_path, dataset.reading)
            return LargePair(sample, error) if in_parts else error
        return pairs_of(sample, image, labels, protocols, input_size)

    return in_background(read, fetched_ahead(samples), ahead=ahead)


def pairs_of(
    sample: Sample, image: np.ndarray, labels: np.ndarray, protocols: Sequence[Protocol], input_size: Size | None
) -> tuple[EvaluationPair, ...]:
    """One image and its labels, resized for each protocol.

    Args:
        sample: The sample that image and labels were read from.
        image: Image uint8 (H, W, C).
        labels: Labels uint8 (H, W).
        protocols: Protocols to resize for; those with the same input share their arrays.
        input_size: Input size if a protocol leaves it open; None for the image's own size.
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
    """Group consecutive items of equal `key` into batches of at most `batch_size`."""
    for _, group in itertools.groupby(items, key=key):
        while batch := list(itertools.islice(group, batch_size)):
            yield batch
