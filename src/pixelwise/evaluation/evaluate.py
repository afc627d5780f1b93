"""Model + data set + protocol -> measurement.

Images are decoded in background threads and move as uint8; the logits of the main head go straight
to class ids at the score size, so no full-size float tensor is built; counting is exact integers in
one confusion matrix over the whole split. Windows, scales and mirrored images are in `views`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.datasets.samples import Dataset
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.evaluation.machine import peak_memory_bytes
from pixelwise.evaluation.measurement import Measurement, Tally
from pixelwise.evaluation.pairs import (
    EvaluationPair,
    batches_alike,
    floor_index,
    read_split,
)
from pixelwise.evaluation.views import View, best_classes
from pixelwise.machine.threads import reading_threads
from pixelwise.metrics import upsampled_argmax, upsampled_bits
from pixelwise.models import SegmentationModel
from pixelwise.models.preprocessing import normalize
from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.recipes.schema import Precision


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
    boundary: bool = False,
    calibration: bool = False,
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
        boundary: Count boundary IoU too.
        calibration: Measure the calibration error too: every pixel's probabilities are computed for it.

    Returns:
        The measurement; None when `should_stop` ended it early: the score of some of the images must
        not be mistaken for a result.

    Raises:
        DataError: D221 no such split; an image or mask is missing or wrong.
        CheckpointError: K406, the model's classes are not the data set's; K407, nor its channels the images'.
        RecipeError: R203, calibration of a multi-label network.
    """
    found = evaluate_protocols(
        model,
        dataset,
        split,
        (protocol,),
        input_size=input_size,
        batch_size=batch_size,
        device=device,
        precision=precision,
        progress=progress,
        should_stop=should_stop,
        boundary=boundary,
        calibration=calibration,
    )
    return found[0] if found is not None else None


def evaluate_protocols(
    model: SegmentationModel,
    dataset: Dataset,
    split: str,
    protocols: Sequence[Protocol],
    *,
    input_size: Size | None = None,
    batch_size: int = 1,
    device: torch.device | str | None = None,
    precision: Precision = Precision(),  # noqa: B008 (immutable)
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    boundary: bool = False,
    calibration: bool = False,
) -> list[Measurement] | None:
    """Score `model` under several protocols in one pass over the data.

    Each image is decoded once, and predicted once for all protocols under which the network sees the same.

    Arguments and errors are those of `evaluate_model`, but for `protocols`: where and how predictions and
    labels are compared.

    Returns:
        One measurement per protocol; None when `should_stop` ended it early.
    """
    _check_classes(model, dataset)
    _check_channels(model, dataset)
    samples = dataset.samples(split)
    chosen = torch.device(device) if device is not None else next(model.parameters()).device
    model.to(chosen)
    if calibration and model.multilabel:
        raise RecipeError(
            "R203",
            "the calibration error is that of one decision per pixel; a multi-label network makes one per class",
            "leave out --calibration",
        )
    tallies = [
        Tally(dataset.classes, split, protocol, input_size, boundary=boundary, multilabel=model.multilabel)
        for protocol in protocols
    ]
    if chosen.type == "cuda":
        torch.cuda.reset_peak_memory_stats(chosen)
    read = read_split(samples, dataset, protocols, input_size, ahead=2 * batch_size + reading_threads())
    with contextlib.closing(read), prediction_mode(model):  # type: ignore[type-var]
        for batch in batches_alike(read, batch_size, lambda pairs: [pair.image.shape for pair in pairs]):
            if should_stop is not None and should_stop():
                return None
            for indices in _sharing(batch, protocols):
                columns, shared = [[pairs[i] for pairs in batch] for i in indices], [protocols[i] for i in indices]
                for row in _predicted(model, columns, shared, precision, calibration=calibration):
                    for index, (pair, labels, confidence) in zip(indices, row, strict=True):
                        tallies[index].add(pair, labels, confidence)
            if progress is not None:
                progress(len(tallies[0].per_image), len(samples))
    return [tally.measurement(peak_memory_bytes(chosen)) for tally in tallies]


def _sharing(batch: Sequence[Sequence[EvaluationPair]], protocols: Sequence[Protocol]) -> list[list[int]]:
    """The protocols under which the network sees the same of every image of a batch, by their positions.

    What counts are the arrays, not the settings: an image that has the wanted size already is the same under all.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, protocol in enumerate(protocols):
        seen = tuple(id(array) for pairs in batch for array in (pairs[index].image, *pairs[index].scaled))
        looks = protocol.pad_to, protocol.window, protocol.window_stride, protocol.blend, protocol.scales, protocol.flip
        groups.setdefault((seen, *looks), []).append(index)
    return list(groups.values())


def _predicted(
    model: SegmentationModel,
    columns: Sequence[Sequence[EvaluationPair]],
    protocols: Sequence[Protocol],
    precision: Precision,
    *,
    calibration: bool,
) -> Iterator[list[tuple[EvaluationPair, Tensor, Tensor | None]]]:
    """For each image of a batch what every protocol of the same input scores: the pair, class ids, confidence.

    Args:
        model: In evaluation mode.
        columns: Per protocol the batch's pairs.
        protocols: All with the same input.
        precision: Number format and layout.
        calibration: Whether confidences are wanted.
    """
    first = protocols[0]
    if first.one_look:
        logits = main_logits(model, [pair.image for pair in columns[0]], precision, pad_to=first.pad_to)
        looks: Iterator[Tensor | list[View]] = iter(logits.split(1))
    else:
        keep = len(protocols) > 1
        looks = (views_of(model, pair.scaled, first, precision, keep=keep) for pair in columns[0])
    for look, pairs in zip(looks, zip(*columns, strict=True), strict=True):
        yield [
            (pair, *_labels_of(model, look, pair, protocol, confidence=calibration))
            for pair, protocol in zip(pairs, protocols, strict=True)
        ]


def _labels_of(
    model: SegmentationModel, look: Tensor | list[View], pair: EvaluationPair, protocol: Protocol, *, confidence: bool
) -> tuple[Tensor, Tensor | None]:
    """Class ids (H, W) at the score size, and where it is wanted the probability of each."""
    (height, width), (seen_height, seen_width) = pair.labels.shape, pair.image.shape[:2]
    score_size, seen_size = (height, width), (seen_height, seen_width)
    size = score_size if protocol.argmax_at == "score" else padded_size(seen_size, protocol.pad_to)
    if isinstance(look, Tensor):
        labels = predicted_labels(
            look, seen_size, score_size, protocol, model.align_corners, multilabel=model.multilabel
        )
        if not confidence:
            return labels, None
        # One view of the whole, whose logits are known already.
        view = View(lambda _: look, pair.image, protocol, align_corners=model.align_corners)
        _, sure = best_classes([view], size, model.num_classes, confidence=True)
        return labels, _resized_by_floor(sure, seen_size, score_size, protocol) if sure is not None else None
    labels, sure = best_classes(look, size, model.num_classes, confidence=confidence, multilabel=model.multilabel)
    return _resized_by_floor(labels, seen_size, score_size, protocol), (
        _resized_by_floor(sure, seen_size, score_size, protocol) if sure is not None else None
    )


def views_of(
    model: SegmentationModel,
    scaled: Sequence[np.ndarray],
    protocol: Protocol,
    precision: Precision = Precision(),  # noqa: B008 (immutable)
    *,
    keep: bool = False,
) -> list[View]:
    """Everything the network is asked about one image: at each scale, and mirrored.

    Args:
        model: In evaluation mode.
        scaled: uint8 (h, w, C), the image at each of the protocol's scales.
        protocol: Says which windows, and whether mirrored too.
        precision: Number format and layout.
        keep: Whether several protocols look at the answers.
    """
    look = functools.partial(main_logits, model, precision=precision)
    return [
        View(
            look,
            image,
            protocol,
            align_corners=model.align_corners,
            mirrored=mirrored,
            keep=keep,
            multilabel=model.multilabel,
        )
        for image in scaled
        for mirrored in ((False, True) if protocol.flip else (False,))
    ]


def predict_pair(model: SegmentationModel, pair: EvaluationPair, protocol: Protocol) -> Tensor:
    """Class ids (H, W) of one image at the size of its labels, as `evaluate_model` scores them.

    Args:
        model: In evaluation mode.
        pair: The image as the protocol wants it.
        protocol: How it is predicted.
    """
    (((_, labels, _),),) = _predicted(model, [[pair]], [protocol], Precision(), calibration=False)
    return labels


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
    """The main head's logits for uint8 (H, W, C) images of equal size: (B, K, h, w).

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
    logits: Tensor,
    seen_size: Size,
    score_size: Size,
    protocol: Protocol,
    align_corners: bool,
    *,
    multilabel: bool = False,
) -> Tensor:
    """Class ids (H, W) at the score size, on the device of the logits; int32 bit fields if `multilabel`.

    Args:
        logits: (1, K, h, w), covering the whole image and its padding.
        seen_size: (height, width) of the image as the network saw it, without padding.
        score_size: (H, W).
        protocol: Says at which size the best class is taken, and what was padded.
        align_corners: How the model's logits are enlarged.
        multilabel: Whether every class with a logit above 0 is wanted instead of the best one.
    """
    decide = upsampled_bits if multilabel else upsampled_argmax
    if protocol.argmax_at == "score":
        return decide(logits, score_size, align_corners)[0]
    seen = decide(logits, padded_size(seen_size, protocol.pad_to), align_corners)[0]
    return _resized_by_floor(seen, seen_size, score_size, protocol)


def _resized_by_floor(values: Tensor, seen_size: Size, score_size: Size, protocol: Protocol) -> Tensor:
    """(H, W) values at the score size, of values at the size at which the best class is taken."""
    if protocol.argmax_at == "score":
        return values
    seen = values[: seen_size[0], : seen_size[1]]
    if seen_size == score_size:
        return seen
    rows, columns = (
        torch.from_numpy(floor_index(length, output)).to(seen.device)
        for length, output in zip(seen_size, score_size, strict=True)
    )
    return seen[rows][:, columns]


def _check_classes(model: SegmentationModel, dataset: Dataset) -> None:
    """Refuse a model of other classes; other names alone are fine, the same in another order are not."""
    if model.multilabel != dataset.multilabel:
        kinds = {True: "several classes per pixel (multi-label)", False: "one class per pixel"}
        raise CheckpointError(
            "K406",
            f"the model predicts {kinds[model.multilabel]}, but the data set has {kinds[dataset.multilabel]}",
            "evaluate on the data set it was trained for, or train on this one",
        )
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


def _check_channels(model: SegmentationModel, dataset: Dataset) -> None:
    """Refuse images of other channels than the model's input."""
    expected, channels = model.preprocessing.in_channels, dataset.reading.channels
    found = 3 if channels is None else len(channels)
    if found != expected:
        read = "as RGB" if channels is None else f"with the channels {list(channels)}"
        raise CheckpointError(
            "K407",
            f"the model takes {expected} channel{'s' if expected > 1 else ''}, the images are read {read}",
            "evaluate the run, whose recipe says which channels, or open the data with its data.channels",
        )
