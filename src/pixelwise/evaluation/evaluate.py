"""Model + data set + protocol -> measurement.

Images are decoded in background threads and move as uint8; the logits of the main head go straight
to class ids at the score size, so no full-size float tensor is built; counting is exact integers in
one confusion matrix over the whole split.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.datasets.samples import Dataset
from pixelwise.errors import CheckpointError
from pixelwise.evaluation.machine import peak_memory_bytes
from pixelwise.evaluation.pairs import THREADS, EvaluationPair, batches_of_equal_size, floor_index, read_split
from pixelwise.metrics import Scores, confusion_matrix, scores, upsampled_argmax
from pixelwise.models import SegmentationModel
from pixelwise.models.preprocessing import normalize
from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.recipes.schema import Precision


class ImageScore(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one image.

    Attributes:
        id: Sample id.
        miou: Mean IoU over the classes that occur in this image's labels or prediction; NaN where
            nothing is labelled.
        pixel_accuracy: Share of its labelled pixels that are right; NaN where nothing is labelled.
        labelled_pixels: Pixels that count.
    """

    id: str
    miou: float
    pixel_accuracy: float
    labelled_pixels: int


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
    """What `evaluate_model` found; `pixelwise.evaluation.result` adds where the weights come from.

    Attributes:
        classes: Class names.
        split: The split that was scored.
        protocol: How.
        input_size: The size that the network saw, padding left out; None when every image had its own.
        confusion_matrix: (K, K) int64 over the whole split, rows truth, columns prediction.
        scores: Computed from it, absent classes counted as the protocol says.
        class_extents: Per class.
        per_image: One score per image, in the order of the split.
        seconds: Wall time, decoding included.
        peak_memory_bytes: On a GPU of this evaluation, else of the process so far.
    """

    classes: tuple[str, ...]
    split: str
    protocol: Protocol
    input_size: Size | None
    confusion_matrix: np.ndarray
    scores: Scores
    class_extents: tuple[ClassExtent, ...]
    per_image: tuple[ImageScore, ...]
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


def evaluate_model(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocol: Protocol,
    *,
    input_size: Size | None = None,
    batch_size: int = 1,
    device: torch.device | str | None = None,
    precision: Precision = Precision(),  # noqa: B008 (immutable)
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Measurement | None:
    """Score `model` on `split` of `dataset` under `protocol`.

    The model is moved to `device`; the mode of each of its modules is put back at the end. On a GPU
    the peak memory statistics are reset.

    Args:
        model: The network.
        dataset: The opened data.
        split: Name of a split.
        protocol: Where and how predictions and labels are compared.
        input_size: (height, width) that the network sees where the protocol leaves it open; None:
            the image's own.
        batch_size: Consecutive images of equal size per forward pass.
        device: None: where the model is.
        precision: Number format (an autocast around this call is respected anyway) and layout.
        progress: Told (images done, images in all) after every batch.
        should_stop: Asked before every batch.

    Returns:
        The measurement; None when `should_stop` ended it early: the score of some of the images must
        not be mistaken for a result.

    Raises:
        DataError: D221 no such split; an image or mask is missing or wrong.
        CheckpointError: K406, the model's classes are not the data set's.
    """
    _check_classes(model, dataset)
    samples = dataset.samples(split)
    chosen = torch.device(device) if device is not None else next(model.parameters()).device
    model.to(chosen)
    tally = _Tally(dataset.classes, split, protocol, input_size)
    if chosen.type == "cuda":
        torch.cuda.reset_peak_memory_stats(chosen)
    pairs = read_split(samples, dataset, protocol, input_size, ahead=2 * batch_size + THREADS)
    with contextlib.closing(pairs), prediction_mode(model):  # type: ignore[type-var]
        for batch in batches_of_equal_size(pairs, batch_size):
            if should_stop is not None and should_stop():
                return None
            logits = main_logits(model, [pair.image for pair in batch], precision, pad_to=protocol.pad_to)
            for pair, image_logits in zip(batch, logits.split(1), strict=True):
                tally.add(pair, score_prediction(pair, image_logits, model, protocol))
            if progress is not None:
                progress(len(tally.per_image), len(samples))
    return tally.measurement(peak_memory_bytes(chosen))


@contextlib.contextmanager
def prediction_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients; afterwards every module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training


def main_logits(
    model: SegmentationModel,
    images: Sequence[np.ndarray],
    precision: Precision = Precision(),  # noqa: B008 (immutable)
    pad_to: Size | None = None,
) -> Tensor:
    """The main head's logits for uint8 (H, W, 3) images of equal size: (B, K, h, w).

    Args:
        model: On its device, in evaluation mode.
        images: Of equal size.
        precision: Number format and layout.
        pad_to: Normalised images are padded by zeros at the right and bottom to at least this size,
            and the logits cover the padding too.
    """
    device = next(model.parameters()).device
    stacked = torch.from_numpy(np.stack(images)).to(device, non_blocking=True)
    inputs = normalize(stacked, model.preprocessing)
    if pad_to is not None:
        height, width = images[0].shape[:2]
        padded_height, padded_width = padded_size((height, width), pad_to)
        inputs = F.pad(inputs, (0, padded_width - width, 0, padded_height - height))
    if precision.channels_last:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    if precision.dtype == "bfloat16":
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return model.head_logits(inputs)[0]
    return model.head_logits(inputs)[0]


def padded_size(size: Size, pad_to: Size | None) -> Size:
    """(height, width) after padding to at least `pad_to`."""
    return size if pad_to is None else (max(size[0], pad_to[0]), max(size[1], pad_to[1]))


def predicted_labels(
    logits: Tensor, seen_size: Size, score_size: Size, protocol: Protocol, align_corners: bool
) -> Tensor:
    """Class ids (H, W) at the score size, on the device of the logits.

    Args:
        logits: (1, K, h, w), covering the whole image and its padding.
        seen_size: (height, width) of the image as the network saw it, without padding.
        score_size: (H, W).
        protocol: Says at which size the best class is taken, and what was padded.
        align_corners: How the model's logits are enlarged.
    """
    if protocol.argmax_at == "score":
        return upsampled_argmax(logits, score_size, align_corners)[0]
    height, width = seen_size
    seen = upsampled_argmax(logits, padded_size(seen_size, protocol.pad_to), align_corners)[0, :height, :width]
    if seen_size == score_size:
        return seen
    rows, columns = (
        torch.from_numpy(floor_index(length, output)).to(seen.device)
        for length, output in zip(seen_size, score_size, strict=True)
    )
    return seen[rows][:, columns]


def score_prediction(pair: EvaluationPair, logits: Tensor, model: SegmentationModel, protocol: Protocol) -> Tensor:
    """(K, K) confusion matrix of one image, on the CPU.

    Args:
        pair: Its labels are at the score size.
        logits: (1, K, h, w), covering the whole image and its padding.
        model: Says how its logits are enlarged, and K.
        protocol: Says how logits become class ids at the score size.
    """
    (height, width), (seen_height, seen_width) = pair.labels.shape, pair.image.shape[:2]
    prediction = predicted_labels(logits, (seen_height, seen_width), (height, width), protocol, model.align_corners)
    labels = torch.from_numpy(pair.labels).to(prediction.device)
    return confusion_matrix(labels, prediction, model.num_classes).cpu()


class _Tally:
    """Adds up the images: one confusion matrix, one score per image, the worst image per class."""

    def __init__(self, classes: tuple[str, ...], split: str, protocol: Protocol, input_size: Size | None) -> None:
        self.classes = classes
        self.split = split
        self.protocol = protocol
        self.input_size = protocol.seen_size(input_size)
        self.start = time.perf_counter()
        self.total = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        self.per_image: list[ImageScore] = []
        self.extents = [ClassExtent() for _ in classes]

    def add(self, pair: EvaluationPair, matrix: Tensor) -> None:
        self.total += matrix
        found = scores(matrix)
        self.per_image.append(
            ImageScore(
                id=pair.sample.id,
                miou=found.miou,
                pixel_accuracy=found.pixel_accuracy,
                labelled_pixels=sum(found.pixels),
            )
        )
        for class_id, (pixels, iou) in enumerate(zip(found.pixels, found.iou, strict=True)):
            if pixels:
                self.extents[class_id] = _with_image(self.extents[class_id], pair.sample.id, iou)

    def measurement(self, peak_memory_bytes: int) -> Measurement:
        total = self.total.numpy()
        return Measurement(
            classes=self.classes,
            split=self.split,
            protocol=self.protocol,
            input_size=self.input_size,
            confusion_matrix=total,
            scores=scores(total, self.protocol.absent),
            class_extents=tuple(self.extents),
            per_image=tuple(self.per_image),
            seconds=time.perf_counter() - self.start,
            peak_memory_bytes=peak_memory_bytes,
        )


def _with_image(extent: ClassExtent, id: str, iou: float) -> ClassExtent:
    worst = extent.worst_image is None or iou < extent.worst_image_iou
    return ClassExtent(
        images=extent.images + 1,
        worst_image=id if worst else extent.worst_image,
        worst_image_iou=iou if worst else extent.worst_image_iou,
    )


def _check_classes(model: SegmentationModel, dataset: Dataset) -> None:
    """Refuse a model of other classes; other names alone are fine, the same in another order are not."""
    ours, theirs = model.classes, dataset.classes
    reordered = ours != theirs and sorted(ours) == sorted(theirs)
    if model.num_classes == len(theirs) and not reordered:
        return
    difference = (
        f"the same classes in another order ({', '.join(ours[:4])}, ... against {', '.join(theirs[:4])}, ...)"
        if reordered
        else f"{model.num_classes} classes ({', '.join(ours[:4])}, ...) but the data set has {len(theirs)} "
        f"({', '.join(theirs[:4])}, ...)"
    )
    raise CheckpointError(
        "K406",
        f"the model predicts {difference}",
        "evaluate on the data set it was trained for, or map its masks with data.classes and data.label_map",
    )
