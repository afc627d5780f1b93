"""What one evaluation found: the counts of its images, added up, and the scores made from them."""

from __future__ import annotations

import math
import time

import msgspec
import numpy as np
import torch
from torch import Tensor

from pixelwise.evaluation.pairs import EvaluationPair
from pixelwise.metrics import (
    Scores,
    boundary_counts,
    calibration_counts,
    confusion_matrix,
    miou_interval,
    multilabel_boundary_counts,
    multilabel_counts,
    multilabel_scores,
    scores,
)
from pixelwise.metrics.boundary import BoundaryCounts
from pixelwise.metrics.calibration import CalibrationCounts
from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.records.result import ImageScore


class ClassExtent(msgspec.Struct, frozen=True, kw_only=True):
    """In which images a class occurs.

    Attributes:
        images: Images whose labels hold the class.
        worst_image: Id of the one with the lowest IoU of this class; None without any.
        worst_image_iou: That IoU; NaN without any.
    """

    images: int = 0
    worst_image: str | None = None
    worst_image_iou: float = math.nan


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What `evaluate_model` found; `pixelwise.evaluation.assembling` adds where the weights come from.

    Attributes:
        classes: Class names.
        split: The split that was scored.
        protocol: How.
        input_size: The size that the network saw, padding left out; None when every image had its own.
        confusion_matrix: (K, K) int64 over the whole split, rows truth, columns prediction; (0, 0) of multi-label
            data, where no class excludes another.
        binary_counts: Of multi-label data (K, 4) int64: TP, FP, FN, TN of each class; else None.
        scores: Computed from it, absent classes counted as the protocol says.
        miou_interval: 95 % confidence interval of the mean IoU, a bootstrap over images; None for fewer than
            two.
        boundary_iou: Boundary IoU per class, NaN where there is none; empty where it was not asked for.
        calibration_error: Expected calibration error; NaN where it was not asked for.
        class_extents: Per class.
        per_image: One score per image, in the order of the split.
        image_counts: (N, 2, K) int64, of each image and class the right pixels and those of the union of label and
            prediction.
        seconds: Wall time, decoding included; that of the whole pass, which several protocols may share.
        peak_memory_bytes: On a GPU of this evaluation, else of the process so far.
    """

    classes: tuple[str, ...]
    split: str
    protocol: Protocol
    input_size: Size | None
    confusion_matrix: np.ndarray
    binary_counts: np.ndarray | None = None
    scores: Scores
    miou_interval: tuple[float, float] | None
    boundary_iou: tuple[float, ...]
    calibration_error: float
    class_extents: tuple[ClassExtent, ...]
    per_image: tuple[ImageScore, ...]
    image_counts: np.ndarray
    seconds: float
    peak_memory_bytes: int

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.per_image)

    @property
    def miou(self) -> float:
        """Mean IoU, 0..1; NaN where nothing is labelled."""
        return self.scores.miou

    @property
    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right; NaN where nothing is labelled."""
        return self.scores.pixel_accuracy

    @property
    def per_class_iou(self) -> list[float | None]:
        """IoU of each class, None where it has none: what a JSON log holds."""
        return [None if math.isnan(iou) else iou for iou in self.scores.iou]


class Tally:
    """Adds up the images: one confusion matrix, one score per image, the worst image per class.

    Args:
        classes: Class names.
        split: The split that is scored.
        protocol: How.
        input_size: (height, width) that the network sees where the protocol leaves it open.
        boundary: Whether boundaries are counted too.
        multilabel: Whether labels and predictions are bit fields; each class then has counts of its own.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        split: str,
        protocol: Protocol,
        input_size: Size | None,
        *,
        boundary: bool,
        multilabel: bool = False,
    ) -> None:
        self.classes = classes
        self.split = split
        self.protocol = protocol
        self.input_size = protocol.seen_size(input_size)
        self.start = time.perf_counter()
        self.multilabel = multilabel
        self.total = torch.zeros(len(classes), 4 if multilabel else len(classes), dtype=torch.int64)
        self.parts: list[np.ndarray] = []
        self.per_image: list[ImageScore] = []
        self.extents = [ClassExtent() for _ in classes]
        self.boundary: BoundaryCounts | None = None
        self.counts_boundary = boundary
        self.calibration: CalibrationCounts | None = None

    def add(self, pair: EvaluationPair, prediction: Tensor, confidence: Tensor | None = None) -> None:
        """Count one image.

        Args:
            pair: Its labels are at the score size.
            prediction: (H, W) class ids or bit fields, on any device.
            confidence: (H, W) float32, probability of each of them, where calibration is measured.
        """
        count = multilabel_counts if self.multilabel else confusion_matrix
        matrix = count(torch.from_numpy(pair.labels).to(prediction.device), prediction, len(self.classes))
        self._add_matrix(pair.sample.id, matrix.cpu())
        if self.counts_boundary:
            count = multilabel_boundary_counts if self.multilabel else boundary_counts
            counts = count(pair.labels, prediction.cpu().numpy(), len(self.classes))
            self.boundary = counts if self.boundary is None else self.boundary + counts
        if confidence is not None:
            sure = calibration_counts(pair.labels, prediction.cpu().numpy(), confidence.cpu().numpy())
            self.calibration = sure if self.calibration is None else self.calibration + sure

    def _add_matrix(self, id: str, matrix: Tensor) -> None:
        self.total += matrix
        counts = matrix.numpy()
        right = counts[:, 0] if self.multilabel else counts.diagonal()
        unions = counts[:, :3].sum(1) if self.multilabel else counts.sum(0) + counts.sum(1) - right
        self.parts.append(np.stack([right, unions]))
        found = multilabel_scores(matrix) if self.multilabel else scores(matrix)
        self.per_image.append(
            ImageScore(
                id=id,
                miou=found.miou,
                pixel_accuracy=found.pixel_accuracy,
                labelled_pixels=int(counts[0].sum()) if self.multilabel else sum(found.pixels),
            )
        )
        for class_id, (pixels, iou) in enumerate(zip(found.pixels, found.iou, strict=True)):
            if pixels:
                self.extents[class_id] = _with_image(self.extents[class_id], id, iou)

    def measurement(self, peak_memory_bytes: int) -> Measurement:
        """Everything that was added up.

        Args:
            peak_memory_bytes: Of the evaluation.
        """
        total, seconds = self.total.numpy(), time.perf_counter() - self.start
        parts = np.stack(self.parts)
        return Measurement(
            classes=self.classes,
            split=self.split,
            protocol=self.protocol,
            input_size=self.input_size,
            confusion_matrix=np.zeros((0, 0), np.int64) if self.multilabel else total,
            binary_counts=total if self.multilabel else None,
            scores=(multilabel_scores if self.multilabel else scores)(total, self.protocol.absent),
            miou_interval=miou_interval(parts[:, 0], parts[:, 1], self.protocol.absent),
            boundary_iou=self.boundary.iou if self.boundary is not None else (),
            calibration_error=self.calibration.error if self.calibration is not None else math.nan,
            class_extents=tuple(self.extents),
            per_image=tuple(self.per_image),
            image_counts=parts,
            seconds=seconds,
            peak_memory_bytes=peak_memory_bytes,
        )


def _with_image(extent: ClassExtent, id: str, iou: float) -> ClassExtent:
    worst = extent.worst_image is None or iou < extent.worst_image_iou
    return ClassExtent(
        images=extent.images + 1,
        worst_image=id if worst else extent.worst_image,
        worst_image_iou=iou if worst else extent.worst_image_iou,
    )
