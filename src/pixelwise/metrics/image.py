"""One image as metrics see it: labels and prediction at the score size, and what can be computed from them."""

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
"""Gives probabilities from top to bottom: the first row of a band, and float32 (K, R, W)."""


class ScoredImage:
    """An image of the split that is scored. What metrics share is computed when the first of them asks for it.

    Args:
        id: Sample id.
        labels: (H, W), uint8 class ids, 255 = ignored; of multi-label data int32 bit fields, `IGNORE_BIT` = ignored.
        prediction: (H, W) class ids or bit fields, on any device.
        task: What is scored.
        index: Position of the image in its split.
        confidence: (H, W) float32, probability of the predicted class; None where no metric needs it.
        probabilities: Gives those of all classes; None where no metric needs them.
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

    @cached_property
    def prediction(self) -> np.ndarray:
        """(H, W) class ids, uint8 up to 255 classes; of multi-label data int32 bit fields."""
        return self._prediction.cpu().numpy()

    @cached_property
    def counts(self) -> np.ndarray:
        """int64, rows truth and columns prediction (K, K); of multi-label data (K, 4): TP, FP, FN, TN per class."""
        # Counted where the prediction is: of a GPU only the counts come back.
        labels = torch.from_numpy(self.labels).to(self._prediction.device)
        count = multilabel_counts if self.task.multilabel else confusion_matrix
        return count(labels, self._prediction, len(self.task.classes)).cpu().numpy()

    @cached_property
    def totals(self) -> ClassTotals:
        """The sums of `counts` that IoU, accuracy, precision and F1 are made of."""
        return totals_of(self.counts, multilabel=self.task.multilabel)

    @cached_property
    def confidence(self) -> np.ndarray:
        """(H, W) float32, probability of the predicted class. For metrics that declare `needs="confidence"`."""
        if self._confidence is None:
            raise ValueError("this metric needs the confidence of predictions; declare it with needs='confidence'")
        return self._confidence.cpu().numpy()

    def probabilities(self) -> Iterator[tuple[int, Tensor]]:
        """Probabilities of all classes, from top to bottom. For metrics that declare `needs="probabilities"`.

        Yields:
            The first row of a band, and its probabilities, float32 (K, R, W) on the device of the network. Those of the
            whole image are never in memory together.
        """
        if self._probabilities is None:
            raise ValueError("this metric needs the probabilities of classes; declare it with needs='probabilities'")
        return self._probabilities()
