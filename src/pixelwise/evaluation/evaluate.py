"""Model + data set + protocol -> measurement.

Images are decoded in background threads and move as uint8; the logits of the main head go straight
to class ids at the score size, so no full-size float tensor is built; counting is exact integers in
one confusion matrix over the whole split. Windows, scales and mirrored images are in `prediction.windows`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pixelwise.datasets.samples import Dataset
from pixelwise.errors import CheckpointError, RecipeError, StoppedError
from pixelwise.evaluation.pairs import EvaluationPair, batches_alike, read_split
from pixelwise.evaluation.tally import Measurement, Tally
from pixelwise.machine.facts import peak_memory_bytes
from pixelwise.machine.threads import reading_threads
from pixelwise.models import SegmentationModel
from pixelwise.prediction.network import (
    main_logits,
    padded_size,
    predicted_labels,
    prediction_mode,
    resized_by_floor,
    views_of,
)
from pixelwise.prediction.windows import View, best_classes
from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.recipes.schema.recipe import Precision


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
) -> Measurement:
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
        should_stop: Asked before every batch; True ends the evaluation with `StoppedError`.
        boundary: Count boundary IoU too.
        calibration: Measure the calibration error too: every pixel's probabilities are computed for it.

    Raises:
        DataError: D221 no such split; an image or mask is missing or wrong.
        CheckpointError: K406, the model's classes are not the data set's; K407, nor its channels the images'.
        RecipeError: R203, the calibration error is not defined for this network.
        StoppedError: I074, `should_stop` said so: the score of some of the images must not be mistaken for a result.
    """
    (measurement,) = evaluate_protocols(
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
    return measurement


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
) -> list[Measurement]:
    """Score `model` under several protocols in one pass over the data.

    Each image is decoded once, and predicted once for all protocols under which the network sees the same.

    Arguments and errors are those of `evaluate_model`, but for `protocols`: where and how predictions and
    labels are compared.

    Returns:
        One measurement per protocol.
    """
    _check_classes(model, dataset)
    _check_channels(model, dataset)
    samples = dataset.samples(split)
    chosen = torch.device(device) if device is not None else next(model.parameters()).device
    model.to(chosen)
    if calibration:
        _require_probabilities(model)
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
                done = len(tallies[0].per_image)
                raise StoppedError(
                    "I074", f"the evaluation of {split} was stopped after {done} of {len(samples)} images"
                )
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
        return labels, resized_by_floor(sure, seen_size, score_size, protocol) if sure is not None else None
    labels, sure = best_classes(look, size, model.num_classes, confidence=confidence, multilabel=model.multilabel)
    return resized_by_floor(labels, seen_size, score_size, protocol), (
        resized_by_floor(sure, seen_size, score_size, protocol) if sure is not None else None
    )


def predict_pair(model: SegmentationModel, pair: EvaluationPair, protocol: Protocol) -> Tensor:
    """Class ids (H, W) of one image at the size of its labels, as `evaluate_model` scores them.

    Args:
        model: In evaluation mode.
        pair: The image as the protocol wants it.
        protocol: How it is predicted.
    """
    (((_, labels, _),),) = _predicted(model, [[pair]], [protocol], Precision(), calibration=False)
    return labels


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


def _require_probabilities(model: SegmentationModel) -> None:
    """Refuse a network that gives no probability for the one class of a pixel."""
    if model.multilabel:
        reason = "calibration error is not defined for multi-label models, which decide per class, not once per pixel"
        raise RecipeError("R203", reason, "leave out --calibration")
    if not model.gives_scores:
        raise RecipeError(
            "R203",
            "calibration error needs the probability of each pixel's class; this artefact gives class ids only",
            "leave out --calibration, or export it without --argmax",
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
