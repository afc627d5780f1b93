"""The scores of a result by class, group, metric and image."""

from __future__ import annotations

import math

import msgspec

RESULT_FIELDS = {
    "iou": "miou",
    "pixel_accuracy": "pixel_accuracy",
    "accuracy": "mean_accuracy",
    "frequency_weighted_iou": "frequency_weighted_iou",
    "boundary_iou": "boundary_miou",
    "calibration_error": "calibration_error",
}
"""Fields of `Result` that hold the values of these metrics; all other metrics are in `Result.metrics`."""
CLASS_FIELDS = {
    "iou": "iou",
    "accuracy": "accuracy",
    "precision": "precision",
    "f1": "f1",
    "boundary_iou": "boundary_iou",
}
"""Fields of `ClassResult` that hold the values per class of these metrics."""


class ClassResult(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one class. Fractions are 0..1, or NaN if undefined.

    Attributes:
        name: Class name.
        iou: Intersection over union; NaN if the class occurs in neither labels nor predictions.
        accuracy: Fraction of the pixels labelled as this class that are predicted as it (recall).
        precision: Fraction of the pixels predicted as this class that are labelled as it.
        f1: Harmonic mean of accuracy and precision, which is the Dice coefficient.
        boundary_iou: IoU of the bands along the contours (arXiv:2103.16562); NaN if not measured.
        pixels: Number of pixels labelled as this class.
        images: Number of images whose labels contain the class.
        worst_image: Id of the image in which this class has its lowest IoU.
        worst_image_iou: IoU of this class in `worst_image`.
    """

    name: str
    iou: float
    accuracy: float
    precision: float
    pixels: int
    images: int
    worst_image: str | None
    worst_image_iou: float
    f1: float = math.nan
    boundary_iou: float = math.nan


class BinaryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Pixel counts of one class of multi-label data."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


class CalibrationBin(msgspec.Struct, frozen=True, array_like=True):
    """Pixels whose predicted class has a probability within one of several intervals of equal width.

    Attributes:
        pixels: Number of labelled pixels.
        right: Number of these that are predicted correctly.
        confidence: Sum of the probabilities of their predicted classes.
    """

    pixels: int
    right: int
    confidence: float


class MetricValue(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a metric; an undefined value is NaN in memory and null in JSON.

    Attributes:
        value: Overall value.
        per_class: One value per class, in the order of class ids; empty for a metric without values per class.
        interval: Lower and upper bound of a confidence interval; None for a metric without one.
    """

    value: float = math.nan
    per_class: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None


class MetricResult(MetricValue, frozen=True, kw_only=True):
    """The values of a metric over the whole split, with the texts needed to display a metric that is not installed.

    Attributes:
        title: Name of the metric in tables.
        unit: `%` for fractions, which are stored as 0..1 and displayed in percent; other units are displayed unchanged.
        class_title: Name of the values per class in tables; empty if it equals `title`.
    """

    title: str
    unit: str
    class_title: str = ""


class ImageScore(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one image.

    Attributes:
        id: Id of the image.
        miou: Mean IoU over the classes that occur in this image's labels or prediction; NaN if nothing is labelled.
        pixel_accuracy: Fraction of its labelled pixels that are classified correctly; NaN if nothing is labelled.
        labelled_pixels: Number of labelled pixels.
        iou: IoU of each class, in the order of class ids; None for a class in neither labels nor predictions. Empty if
            it was not stored.
    """

    id: str
    miou: float
    pixel_accuracy: float
    labelled_pixels: int
    iou: tuple[float | None, ...] = ()


class GroupResult(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of a group of images. Fractions are 0..1.

    Attributes:
        name: Name of the group.
        images: Number of the split's images in the group.
        miou: Mean IoU over the group's own pixel counts; NaN if nothing is labelled.
        pixel_accuracy: Fraction of its labelled pixels that are classified correctly; NaN if nothing is labelled.
        iou: IoU of each class, in the order of class ids; None for a class in neither labels nor predictions.
        metrics: Values of the metrics without a field above, by name.
    """

    name: str
    images: int
    miou: float
    pixel_accuracy: float
    iou: tuple[float | None, ...]
    metrics: dict[str, MetricValue] = {}
