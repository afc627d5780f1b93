"""The network of a prediction of many images: in batches, in several threads, in the order of the images."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import queue
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pixelwise.machine.threads import default_threads
from pixelwise.prediction.background import in_background
from pixelwise.prediction.engine.batching import Batch, batches, in_order
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.segmenter import WHOLE_PIXELS, Segmenter
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.opened import Artefact
from pixelwise.runtimes.plain import PlainArtefact

if TYPE_CHECKING:
    from pixelwise.models import SegmentationModel

VERSION = 1
"""Counts the ways in which the engine has computed masks so far: each may round in another way."""
TOGETHER_PIXELS = 1 << 20
"""Number of input pixels up to which images share batches and threads; each larger one has all threads for itself."""
MOST_THREADS = WHOLE_PIXELS // TOGETHER_PIXELS
"""So that images that are predicted at a time need no more memory than the largest one that is predicted whole."""
FEW = 8
"""Number of images below which copying a network, or opening an artefact again, takes longer than it saves."""

Item = TypeVar("Item")


class Engine:
    """Predicts many images with a segmenter.

    On a CPU, each image is computed by one thread, and as many images at a time as there are threads: an image divided
    among threads takes more time in all. The network is a copy made for prediction, whose logits are rounded
    differently.

    Args:
        segmenter: The segmenter; a change of its weights after the first prediction is not seen.
        images: Number of images; below `FEW`, the segmenter is used as it is, one batch after the other.

    Attributes:
        given: The segmenter that was given.
    """

    def __init__(self, segmenter: Segmenter, images: int = FEW) -> None:
        self.given, self._few = segmenter, images < FEW
        self._light = isinstance(segmenter.model, PlainArtefact)
        self._device = "cpu" if self._light else next(segmenter.model.parameters()).device.type

    @functools.cached_property
    def segmenter(self) -> Segmenter:
        """The segmenter with a network made for prediction, for images that are predicted alone."""
        if self._few or isinstance(self.given.model, Artefact):
            return self.given
        from pixelwise.prediction.engine.folding import made_for_prediction

        return self._with(made_for_prediction(self.given.model))

    def shares(self, size: Size) -> bool:
        """Whether an image of that (height, width) is predicted together with others."""
        return self._pixels(size) <= TOGETHER_PIXELS

    def predictions(
        self,
        items: Iterable[Item],
        image: Callable[[Item], np.ndarray | None],
        done: Callable[[Item, Prediction], Item],
    ) -> Generator[Item, None, None]:
        """The items in their order, those with an image predicted.

        Args:
            items: Items whose images are predicted together; read in the thread of the caller.
            image: The image uint8 (H, W, C) of an item, or None, if there is nothing to predict.
            done: The item with the prediction of its image.
        """
        helpers = self._helpers
        free: queue.SimpleQueue[Segmenter] = queue.SimpleQueue()
        for helper in helpers:
            free.put(helper)

        def predicted(batch: Batch[Item]) -> Batch[Item]:
            images = [found for found in map(image, batch.items) if found is not None]
            if not images:
                return batch
            helper = free.get()
            try:
                if self._device == "cpu" and len(helpers) > 1 and not self._light:
                    _one_thread()
                found = helper.predict_alike(images)
            finally:
                free.put(helper)
            return Batch(batch.places, tuple(map(done, batch.items, found)))

        def size_of(item: Item) -> Size | None:
            found = image(item)
            return None if found is None else (found.shape[0], found.shape[1])

        def checked() -> Iterator[Batch[Item]]:
            for batch in batches(items, size_of, lambda item: self._pixels(size_of(item)), self.given.batch_limits):
                if size := size_of(batch.items[0]):
                    # Here, because whoever receives warnings expects them from one thread.
                    self.given.warn(self.given.remarks(size))
                yield batch

        threads = len(helpers)
        work = in_background(predicted, checked(), ahead=2 * threads, threads=threads)
        with contextlib.nullcontext() if self._light else _threads_kept(), contextlib.closing(work):
            yield from in_order(work)

    @functools.cached_property
    def _helpers(self) -> list[Segmenter]:
        """A segmenter for each thread that predicts."""
        given, threads = self.given.model, min(default_threads(), MOST_THREADS)
        if self._device != "cpu" or self._few:
            return [self._with(given)]
        if isinstance(given, Artefact):
            shared = given.for_threads(threads) if threads > 1 else None
            return [self._with(given)] if shared is None else [self._with(shared)] * threads
        from pixelwise.prediction.engine.folding import copied

        made = self.segmenter.model
        # What a module notes while it computes is not shared; weights are.
        others = [copied(made, shared=True) for _ in range(threads - 1)]
        return [self._with(model) for model in (made, *others) if model is not None]

    def _with(self, model: SegmentationModel) -> Segmenter:
        found = copy.copy(self.given)
        found.model = model
        return found

    def _pixels(self, size: Size | None) -> int:
        """Number of input pixels of an image of that size; 0 if there is none."""
        if size is None:
            return 0
        return math.prod(self.given.seen_size(size))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@contextlib.contextmanager
def _threads_kept() -> Iterator[None]:
    """Restore PyTorch's number of threads, which also counts for threads that are started later."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
