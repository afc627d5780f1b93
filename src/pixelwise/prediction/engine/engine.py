"""The network of a prediction of many images: in batches, in several threads, in the order of the images."""

from __future__ import annotations

import contextlib
import copy
import functools
import queue
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch

from pixelwise.machine.threads import default_threads
from pixelwise.models import SegmentationModel
from pixelwise.observer import SILENT
from pixelwise.prediction.background import in_background
from pixelwise.prediction.deviations import Once
from pixelwise.prediction.engine.batching import Batch, Limits, batches, in_order
from pixelwise.prediction.engine.folding import copied, made_for_prediction
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.segmenter import WHOLE_PIXELS, Segmenter
from pixelwise.runtimes import ArtefactModel

VERSION = 1
"""Counts the ways in which the engine has computed masks so far: each may round in another way."""
TOGETHER_PIXELS = 1 << 20
"""Number of input pixels up to which images share batches and threads; each larger one has all threads for itself."""
MOST_THREADS = WHOLE_PIXELS // TOGETHER_PIXELS
"""So that images that are predicted at a time need no more memory than the largest one that is predicted whole."""
ON_CPU = Limits(pixels=1 << 16, items=16)
"""What is in a batch on a CPU: larger ones leave its caches, and take longer per image than single images."""
ON_GPU = Limits(pixels=1 << 21, items=64)
SINGLE = Limits(pixels=1, items=1)

Item = TypeVar("Item")


class Engine:
    """Predicts many images with a segmenter.

    On a CPU, each image is computed by one thread, and as many images at a time as there are threads: an image divided
    among threads takes more time in all. The network is a copy made for prediction, whose logits are rounded
    differently.

    Args:
        segmenter: The segmenter; a change of its weights after the first prediction is not seen.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._given = segmenter
        self._device = next(segmenter.model.parameters()).device.type

    @functools.cached_property
    def segmenter(self) -> Segmenter:
        """The segmenter with a network made for prediction, for images that are predicted alone."""
        made = copy.copy(self._given)
        made.model = made_for_prediction(self._given.model)
        return made

    def shares(self, size: tuple[int, int]) -> bool:
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
        helpers = self._helpers()
        free: queue.SimpleQueue[Segmenter] = queue.SimpleQueue()
        for helper in helpers:
            free.put(helper)

        def predicted(batch: Batch[Item]) -> Batch[Item]:
            images = [found for found in map(image, batch.items) if found is not None]
            if not images:
                return batch
            helper = free.get()
            try:
                if self._divides:
                    torch.set_num_threads(1)
                found = helper.predict_alike(images)
            finally:
                free.put(helper)
            return Batch(batch.places, tuple(map(done, batch.items, found)))

        def sized(item: Item) -> tuple[int, int] | None:
            found = image(item)
            return None if found is None else (found.shape[0], found.shape[1])

        def checked() -> Iterator[Batch[Item]]:
            for batch in batches(items, sized, lambda item: self._pixels(sized(item)), self.limits):
                if size := sized(batch.items[0]):
                    # Here, because whoever receives warnings expects them from one thread.
                    self._given.warn(self._given.remarks(size))
                yield batch

        count = len(helpers)
        with _threads_kept(), contextlib.closing(
            in_background(predicted, checked(), ahead=2 * count, threads=count)
        ) as found:
            yield from in_order(found)

    @property
    def limits(self) -> Limits:
        """What is in a batch."""
        model = self._given.model
        if isinstance(model, ArtefactModel) and model.sidecar.input.batch is not None:
            return SINGLE
        return ON_CPU if self._device == "cpu" else ON_GPU

    @property
    def _divides(self) -> bool:
        """Whether images are divided among threads, instead of each image."""
        return self._device == "cpu" and not isinstance(self._given.model, ArtefactModel)

    def _helpers(self) -> Sequence[Segmenter]:
        """A segmenter for each thread; what a module notes while it computes is not shared, its weights are."""
        count = min(default_threads(), MOST_THREADS) if self._divides else 1
        models: list[SegmentationModel | None] = [self.segmenter.model]
        models += [copied(self.segmenter.model, shared=True) for _ in range(count - 1)]
        helpers = []
        for model in models:
            if model is not None:
                helper = copy.copy(self.segmenter)
                helper.model, helper.warn = model, Once(SILENT.warn)
                helpers.append(helper)
        return helpers

    def _pixels(self, size: tuple[int, int] | None) -> int:
        """Number of input pixels of an image of that size; 0 if there is none."""
        if size is None:
            return 0
        height, width = self._given.seen_size(size)
        return height * width


@contextlib.contextmanager
def _threads_kept() -> Iterator[None]:
    """Restore the number of threads of PyTorch, which counts for threads that are started later."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
