"""Forward passes for prediction: logits of the main head, and class ids and probabilities from them at any size."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.metrics import upsampled_argmax, upsampled_bits
from pixelwise.metrics.multilabel import bits_of
from pixelwise.models import SegmentationModel
from pixelwise.models.preprocessing import normalize
from pixelwise.prediction.sizes import floor_index
from pixelwise.prediction.windows import BAND_VALUES, View, bands, best_classes
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.schema.recipe import Precision
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes import ArtefactModel
from pixelwise.runtimes.inference import fitted_to


def views_of(
    model: SegmentationModel,
    scaled: Sequence[np.ndarray],
    protocol: Protocol,
    precision: Precision = Precision(),  # noqa: B008 (immutable)
    *,
    keep: bool = False,
) -> list[View]:
    """The views of one image under a protocol: at each scale and, with `flip`, mirrored too.

    Args:
        model: The network, in evaluation mode.
        scaled: The image at each of the protocol's scales, uint8 (h, w, C).
        protocol: Protocol that defines the windows and whether there are mirrored views.
        precision: Number format and memory layout.
        keep: Whether to keep all windows, so that rows can be read more than once.
    """
    if not model.gives_scores:
        # Class ids cannot be averaged.
        protocol = msgspec.structs.replace(protocol, blend="central")
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
            scores=model.scores,
        )
        for image in scaled
        for mirrored in ((False, True) if protocol.flip else (False,))
    ]


@contextlib.contextmanager
def prediction_mode(model: nn.Module) -> Iterator[None]:
    """Context in evaluation mode and without gradients; afterwards the mode of every module is restored."""
    # Setting the mode of every module takes milliseconds, and mostly all are in evaluation mode.
    training = [module for module in model.modules() if module.training]
    if training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def main_logits(
    model: SegmentationModel,
    images: Sequence[np.ndarray],
    precision: Precision = Precision(),  # noqa: B008 (immutable)
    pad_to: Size | None = None,
) -> Tensor:
    """Logits (B, K, h, w) of the main head.

    Args:
        model: The network, on its device and in evaluation mode.
        images: Images uint8 (H, W, C) of equal size.
        precision: Number format and memory layout.
        pad_to: Size to which normalised images are at least padded with zeros at the right and bottom; the logits cover
            the padding too.
    """
    height, width = images[0].shape[:2]
    if isinstance(model, ArtefactModel) and pad_to is None and model.takes_bytes((height, width)):
        return model.logits_of(np.stack(images))
    device = next(model.parameters()).device
    stacked = torch.from_numpy(np.stack(images)).to(device, non_blocking=True)
    inputs = normalize(stacked, model.preprocessing)
    if pad_to is not None:
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


NetworkOutput = Tensor | list[View]
"""Output of a network for one image: the logits (1, K, h, w) of the whole image with its padding, or several views."""


class Decision(NamedTuple):
    """Predicted class of every pixel.

    Attributes:
        labels: Class ids (H, W), uint8 up to 255 classes; int32 bit fields for multi-label networks.
        confidence: Probability of each predicted class, float32 (H, W), if it was requested.
    """

    labels: Tensor
    confidence: Tensor | None = None


def decide(
    model: SegmentationModel,
    output: NetworkOutput,
    seen_size: Size,
    score_size: Size,
    protocol: Protocol,
    *,
    confidence: bool = False,
) -> Decision:
    """Class ids at the score size and, on request, the probability of each.

    Args:
        model: The network.
        output: Output of the network for one image.
        seen_size: (height, width) of the image as the network saw it, without padding.
        score_size: (height, width) of the result.
        protocol: Protocol that defines the size at which the argmax is taken, and the padding.
        confidence: Whether to return probabilities too; for networks with one class per pixel only.
    """
    labels = None
    if isinstance(output, Tensor):
        labels = predicted_labels(
            output, seen_size, score_size, protocol, model.align_corners, multilabel=model.multilabel
        )
        if not confidence:
            return Decision(labels)
    at, views = _decision_size(seen_size, score_size, protocol), _views(model, output, seen_size, protocol)
    found, sure = best_classes(views, at, model.num_classes, confidence=confidence, multilabel=model.multilabel)
    if labels is None:
        labels = resized_by_floor(found, seen_size, score_size, protocol)
    return Decision(labels, None if sure is None else resized_by_floor(sure, seen_size, score_size, protocol))


def seen_labels(model: SegmentationModel, image: np.ndarray, precision: Precision) -> Tensor:
    """Class ids (h, w) of an image, int32 bit fields for multi-label networks, at the size at which it is given.

    Args:
        model: The network, in evaluation mode; an artefact of one size sees the image through windows of that size.
        image: Image uint8 (h, w, C).
        precision: Number format and memory layout.
    """
    size, protocol = (image.shape[0], image.shape[1]), fitted_to(PROTOCOLS["native"], model.fixed_size)
    if protocol.one_look:
        output: NetworkOutput = main_logits(model, [image], precision)
    else:
        output = views_of(model, [image], protocol, precision)
    return decide(model, output, size, size, protocol).labels


def probability_bands(
    model: SegmentationModel, output: NetworkOutput, seen_size: Size, score_size: Size, protocol: Protocol
) -> Iterator[tuple[int, Tensor]]:
    """Yield the probabilities of all classes at the score size in bands of rows, from top to bottom.

    The probabilities of the whole image are never in memory at once. Arguments are those of `decide`; views must have
    been made with `keep`.

    Yields:
        The first row of a band, and its probabilities float32 (K, R, W).
    """
    at = _decision_size(seen_size, score_size, protocol)
    views = _views(model, output, seen_size, protocol)
    logits = len(views) == 1 and not views[0].are_probabilities
    for first, values in bands(views, at, model.num_classes):
        found = views[0].probabilities(values) if logits else values
        if protocol.argmax_at == "score":
            yield first, found
            continue
        # The rows of the image at the score size that lie in this band, without the padding below and beside it.
        rows, columns = (floor_index(*lengths) for lengths in zip(seen_size, score_size, strict=True))
        inside = np.flatnonzero((rows >= first) & (rows < first + found.shape[1]))
        if len(inside):
            chosen = torch.from_numpy(rows[inside] - first).to(found.device)
            yield int(inside[0]), found[:, chosen][:, :, torch.from_numpy(columns).to(found.device)]


def label_bands(
    model: SegmentationModel, output: NetworkOutput, seen_size: Size, score_size: Size, protocol: Protocol
) -> Iterator[tuple[int, Tensor]]:
    """Yield the labels of `decide` in bands of rows, from top to bottom, so that they are never in memory at once.

    Arguments are those of `decide`.

    Yields:
        The first row of a band, and its class ids (R, W), uint8 up to 255 classes; or int32 bit fields.
    """
    if protocol.argmax_at != "score":
        seen = decide(model, output, seen_size, seen_size, protocol).labels
        rows, columns = (
            torch.from_numpy(floor_index(*lengths)).to(seen.device)
            for lengths in zip(seen_size, score_size, strict=True)
        )
        height = max(1, BAND_VALUES // score_size[1])
        for first in range(0, score_size[0], height):
            yield first, seen[rows[first : first + height]][:, columns]
        return
    views = _views(model, output, seen_size, protocol)
    probabilities = len(views) > 1 or views[0].are_probabilities
    for first, values in bands(views, score_size, model.num_classes):
        if model.multilabel:
            yield first, bits_of(values > (0.5 if probabilities else 0.0))
        else:
            yield first, values.argmax(0).to(torch.uint8 if model.num_classes <= IGNORE else torch.int64)


def _decision_size(seen_size: Size, score_size: Size, protocol: Protocol) -> Size:
    """The size at which the argmax is taken."""
    return score_size if protocol.argmax_at == "score" else padded_size(seen_size, protocol.pad_to)


def _views(model: SegmentationModel, output: NetworkOutput, seen_size: Size, protocol: Protocol) -> list[View]:
    """The output as views; logits of the whole image become a single view."""
    if not isinstance(output, Tensor):
        return output
    seen = np.empty((*seen_size, 0), np.uint8)
    aligned, several = model.align_corners, model.multilabel
    return [View(lambda _: output, seen, protocol, align_corners=aligned, multilabel=several, scores=model.scores)]


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
        logits: Logits (1, K, h, w) of the whole image with its padding.
        seen_size: (height, width) of the image as the network saw it, without padding.
        score_size: (height, width) of the result.
        protocol: Protocol that defines the size at which the argmax is taken, and the padding.
        align_corners: Convention for upsampling the model's logits, as in `torch.nn.functional.interpolate`.
        multilabel: Whether to return every class with a logit above 0 instead of the argmax.
    """
    decide = upsampled_bits if multilabel else upsampled_argmax
    if protocol.argmax_at == "score":
        return decide(logits, score_size, align_corners)[0]
    seen = decide(logits, padded_size(seen_size, protocol.pad_to), align_corners)[0]
    return resized_by_floor(seen, seen_size, score_size, protocol)


def resized_by_floor(values: Tensor, seen_size: Size, score_size: Size, protocol: Protocol) -> Tensor:
    """Values (H, W) resized, by nearest neighbour, from the size at which the argmax is taken to the score size."""
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
