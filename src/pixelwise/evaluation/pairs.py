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

import cv2
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
        image: uint8 (h, w, 3) at the input size, not yet padded.
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
        The image (resampled as the protocol says, before any padding) and the labels (nearest neighbour).
    """
    size = protocol.seen_size(input_size)
    if protocol.fit is not None:
        size = fitted_size(image.shape[:2], *protocol.fit)
    if size is not None:
        image = _RESIZE[protocol.resampling](image, size)
    if protocol.score_size != "native":
        target = image.shape[:2] if protocol.score_size == "input" else protocol.score_size
        resize = resize_labels if protocol.argmax_at == "score" else _resize_by_floor
        labels = resize(labels, target)
    return image, labels


def fitted_size(size: Size, shorter: int, longer: int | None) -> Size:
    """The size of the same aspect ratio that fits into limits for its sides.

    Args:
        size: (height, width).
        shorter: Limit of the shorter side.
        longer: Limit of the longer side. With it sides are rounded to the nearest pixel (as mmcv and
            sssegmentation do); None: the shorter side becomes `shorter` and the longer one is rounded
            down (as torchvision does).
    """
    small, large = sorted(size)
    if longer is None:
        return tuple(shorter if side == small else shorter * large // small for side in size)  # type: ignore[return-value]
    scale = min(longer / large, shorter / small)
    return tuple(max(1, int(side * scale + 0.5)) for side in size)  # type: ignore[return-value]


def floor_index(length: int, output_length: int) -> np.ndarray:
    """int64 (output_length,): `floor(i * length / output_length)`, OpenCV's and PyTorch's `nearest`."""
    return np.arange(output_length) * length // output_length


def _resize_by_floor(labels: np.ndarray, size: Size) -> np.ndarray:
    rows, columns = (floor_index(length, output) for length, output in zip(labels.shape, size, strict=True))
    return labels if labels.shape == tuple(size) else labels[rows[:, None], columns]


def _opencv(interpolation: int) -> Callable[[np.ndarray, Size], np.ndarray]:
    def resize(image: np.ndarray, size: Size) -> np.ndarray:
        if image.shape[:2] == tuple(size):
            return image
        height, width = size
        shrinks = height * width < image.shape[0] * image.shape[1]
        return cv2.resize(image, (width, height), interpolation=interpolation if shrinks else cv2.INTER_LINEAR)

    return resize


_RESIZE = {
    "antialiased": resize_image,
    "linear": _opencv(cv2.INTER_LINEAR),
    "area": _opencv(cv2.INTER_AREA),
}


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
