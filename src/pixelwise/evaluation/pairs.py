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
from pixelwise.machine.threads import reading_threads
from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.transforms.resizing import resize_image, resize_labels

Item = TypeVar("Item")
Result = TypeVar("Result")


class EvaluationPair(NamedTuple):
    """One image as the network sees it, and its labels as they are scored.

    Attributes:
        sample: Where it comes from.
        image: uint8 (h, w, C) at the input size, not yet padded.
        labels: uint8 (H, W) at the score size, 255 = ignore.
        scaled: `image` at each of the protocol's scales, resized from the image's own size.
    """

    sample: Sample
    image: np.ndarray
    labels: np.ndarray
    scaled: tuple[np.ndarray, ...] = ()


def fit_to_protocol(
    image: np.ndarray, labels: np.ndarray, protocol: Protocol, input_size: Size | None
) -> tuple[np.ndarray, np.ndarray]:
    """Bring an image to the input size and its labels to the score size.

    Args:
        image: uint8 (H, W, C).
        labels: uint8 (H, W).
        protocol: Gives the score size and, if it fixes one, the input size.
        input_size: Input size where the protocol leaves it open; None: the image's own.

    Returns:
        The image (resampled as the protocol says, before any padding) and the labels (nearest neighbour).
    """
    seen = seen_images(image, protocol, input_size)[0]
    return seen, scored_labels(labels, (seen.shape[0], seen.shape[1]), protocol)


def seen_images(
    image: np.ndarray, protocol: Protocol, input_size: Size | None
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """An image at the input size, and at each of the protocol's scales of it.

    Args:
        image: uint8 (H, W, C).
        protocol: Says which size, how images are resized, and which scales.
        input_size: Input size where the protocol leaves it open; None: the image's own.
    """
    height, width = protocol.seen_size(input_size) or image.shape[:2]
    if protocol.fit is not None:
        height, width = fitted_size((height, width), *protocol.fit)
    resize = RESIZE[protocol.resampling]
    seen = resize(image, (height, width))
    scaled = (
        # Rounded as mmcv does.
        seen if scale == 1 else resize(image, (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))))
        for scale in protocol.scales
    )
    return seen, tuple(scaled)


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


def same_resizing(protocol: Protocol, input_size: Size | None) -> tuple[object, ...]:
    """Equal for protocols that resize every image alike."""
    return protocol.seen_size(input_size), protocol.fit, protocol.resampling, protocol.scales


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
        method = interpolation if shrinks else cv2.INTER_LINEAR
        if image.shape[2] == 3:
            return cv2.resize(image, (width, height), interpolation=method)
        # OpenCV averages at most four channels, and drops the axis of a single one.
        planes = (np.ascontiguousarray(image[..., channel]) for channel in range(image.shape[2]))
        return np.stack([cv2.resize(plane, (width, height), interpolation=method) for plane in planes], axis=2)

    return resize


RESIZE: dict[str, Callable[[np.ndarray, Size], np.ndarray]] = {
    "antialiased": resize_image,
    "linear": _opencv(cv2.INTER_LINEAR),
    "area": _opencv(cv2.INTER_AREA),
}
"""How images are resized, by the name a protocol gives it."""


def read_split(
    samples: Sequence[Sample], dataset: Dataset, protocols: Sequence[Protocol], input_size: Size | None, ahead: int
) -> Iterator[tuple[EvaluationPair, ...]]:
    """Yield all samples in order, as each protocol wants them, while the next ones are read in the background.

    Args:
        samples: What to read.
        dataset: Where they belong.
        protocols: Those with the same input share the image's memory too.
        input_size: Input size where a protocol leaves it open; None: the image's own.
        ahead: How many are read ahead at most.

    Raises:
        DataError: As `pixelwise.datasets.reading.read_pair`, at the pair that is wrong.
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
        sample: Where it comes from.
        image: uint8 (H, W, C).
        labels: uint8 (H, W).
        protocols: Those with the same input get the same arrays.
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


def batches_of_equal_size(pairs: Iterable[EvaluationPair], batch_size: int) -> Iterator[list[EvaluationPair]]:
    """Group consecutive pairs whose images have the same size, at most `batch_size` of them."""
    return batches_alike(pairs, batch_size, lambda pair: pair.image.shape)


def batches_alike(items: Iterable[Item], batch_size: int, key: Callable[[Item], object]) -> Iterator[list[Item]]:
    """Group consecutive items of equal `key`, at most `batch_size` of them."""
    for _, group in itertools.groupby(items, key=key):
        while batch := list(itertools.islice(group, batch_size)):
            yield batch


def in_background(function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int) -> Iterator[Result]:
    """`map` whose calls run in threads for reading, at most `ahead` before the one that is waited for.

    An exception of `function` is raised where its result would have been yielded. Closing the
    generator (or leaving it to the garbage collector) cancels what has not begun.
    """
    remaining = iter(items)
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(reading_threads(), thread_name_prefix="pixelwise-read") as pool:
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
