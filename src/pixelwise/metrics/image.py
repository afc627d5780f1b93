"""The input of metrics: labels and prediction of one image at the scored size, and values derived from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pixelwise.metrics.confusion import confusion_matrix
from pixelwise.metrics.metric import Task
from pixelwise.metrics.multilabel import multilabel_counts
from pixelwise.metrics.scores import ClassTotals, totals_of

Bands = Callable[[], Iterator[tuple[int, Tensor]]]
"""Function that yields probabilities in bands from top to bottom: the first row of a band, and float32 (K, R, W)."""


class ScoredImage:
    """One image of the scored split. Values that several metrics share are computed once, on first use.

    Args:
        id: Sample id.
        labels: (H, W), uint8 class ids, 255 = ignored; for multi-label data int32 bit fields, `IGNORE_BIT` = ignored.
        prediction: (H, W) class ids or bit fields, on any device.
        task: Classes and rules of the scored task.
        index: Position of the image in its split.
        confidence: (H, W) float32, probability of the predicted class; None if no metric needs it.
        probabilities: Function that yields the probabilities of all classes; None if no metric needs them.
    """

    def __init__(
        self,
        id: str,
        labels: np.ndarray,
        prediction: Tensor,
        task: Task,
        *,
        index: int = 0,
        confidence: Tensor | None = None,
        probabilities: Bands | None = None,
    ) -> None:
        self.id, self.labels, self.task, self.index = id, labels, task, index
        self._prediction, self._confidence, self._probabilities = prediction, confidence, probabilities

    @classmethod
    def of_counts(cls, id: str, counts: np.ndarray, task: Task, index: int) -> ScoredImage:
        """An image of which nothing but the counts is known.

        Args:
            id: Sample id.
            counts: See `counts`.
            task: Classes and rules of the scored task.
            index: Position of the image in its split.
        """
        image = cls(id, np.zeros((0, 0), np.uint8), torch.zeros((0, 0), dtype=torch.uint8), task, index=index)
        image.counts = counts
        return image

    @cached_property
    def prediction(self) -> np.ndarray:
        """(H, W) class ids, uint8 for up to 255 classes; for multi-label data int32 bit fields."""
        return self._prediction.cpu().numpy()

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 (K, K), rows ground truth, columns prediction; for multi-label data (K, 4), TP, FP, FN, TN per row."""
        # Counted on the device of the prediction, so that only the counts are copied back from a GPU.
        labels = torch.from_numpy(self.labels).to(self._prediction.device)
        count = multilabel_counts if self.task.multilabel else confusion_matrix
        return count(labels, self._prediction, len(self.task.classes)).cpu().numpy()

    @cached_property
    def totals(self) -> ClassTotals:
        """The sums of `counts` from which IoU, accuracy, precision and F1 are computed."""
        return totals_of(self.counts, multilabel=self.task.multilabel)

    @cached_property
    def confidence(self) -> np.ndarray:
        """(H, W) float32, probability of the predicted class; for metrics that declare `needs="confidence"`."""
        if self._confidence is None:
            raise ValueError("the metric reads `confidence` without declaring it; declare it with needs='confidence'")
        return self._confidence.cpu().numpy()

    def probabilities(self) -> Iterator[tuple[int, Tensor]]:
        """Probabilities of all classes in bands from top to bottom; for metrics that declare `needs="probabilities"`.

        The probabilities of the whole image are never in memory at once.

        Yields:
            The first row of a band, and its probabilities, float32 (K, R, W) on the device of the network.
        """
        if self._probabilities is None:
            raise ValueError(
                "the metric reads `probabilities` without declaring them; declare it with needs='probabilities'"
            )
        return self._probabilities()
