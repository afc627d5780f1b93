"""Images and labels for evaluation: decoded and resized in background threads, in order.

Decoding releases the interpreter lock, so a few threads keep the network busy; how far they run
ahead is bounded, so memory does not grow with the data set.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from pixelwise.datasets.reading import read_pair
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.transforms.resizing import resize_image, resize_labels

THREADS = 2
"""Decoding threads: one 480x360 pair takes 5 ms, less than any network on a CPU."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class EvaluationPair(NamedTuple):
    """One image as the network sees it, and its labels as they are scored.

    Attributes:
        sample: Where it comes from.
        image: uint8 (h, w, 3) at the input size.
        labels: uint8 (H, W) at the score size, 255 = ignore.
    """

    sample: Sample
    image: np.ndarray
    labels: np.ndarray


def fit_to_protocol(
    image: np.ndarray, labels: np.ndarray, protocol: Protocol, input_size: Size | None
) -> tuple[np.ndarray, np.ndarray]:
    """Bring an image to the input size and its labels to the score size.

    Args:
        image: uint8 (H, W, 3).
        labels: uint8 (H, W).
        protocol: Gives the score size and, if it fixes one, the input size.
        input_size: Input size where the protocol leaves it open; None: the image's own.

    Returns:
        The image (bilinear, antialiased when it shrinks) and the labels (nearest neighbour).
    """
    size = protocol.input_size or input_size
    if size is not None:
        image = resize_image(image, size)
    if protocol.score_size != "native":
        labels = resize_labels(labels, protocol.score_size)
    return image, labels


def read_split(
    samples: Sequence[Sample], dataset: Dataset, protocol: Protocol, input_size: Size | None, ahead: int
) -> Iterator[EvaluationPair]:
    """Yield all pairs in order while the next ones, at most `ahead`, are read in the background.

    Raises:
        DataError: As `pixelwise.datasets.reading.read_pair`, at the pair that is wrong.
    """

    def read(sample: Sample) -> EvaluationPair:
        return EvaluationPair(sample, *fit_to_protocol(*read_pair(sample, dataset), protocol, input_size))

    return in_background(read, samples, ahead=ahead)


def batches_of_equal_size(pairs: Iterable[EvaluationPair], batch_size: int) -> Iterator[list[EvaluationPair]]:
    """Group consecutive pairs whose images have the same size, at most `batch_size` of them."""
    for _, group in itertools.groupby(pairs, key=lambda pair: pair.image.shape):
        while batch := list(itertools.islice(group, batch_size)):
            yield batch


def in_background(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int, threads: int = THREADS
) -> Iterator[Result]:
    """`map` whose calls run in threads, at most `ahead` before the one that is waited for.

    An exception of `function` is raised where its result would have been yielded. Closing the
    generator (or leaving it to the garbage collector) cancels what has not begun.
    """
    remaining = iter(items)
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="pixelwise-read") as pool:
        try:
            for item in itertools.islice(remaining, max(ahead, 1)):
                pending.append(pool.submit(function, item))
            while pending:
                result = pending.popleft().result()
                for item in itertools.islice(remaining, 1):
                    pending.append(pool.submit(function, item))
                yield result
        finally:
            for future in pending:
                future.cancel()
