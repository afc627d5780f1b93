"""Images through a network: logits of the main head, and from them class ids and probabilities at any size."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.metrics import upsampled_argmax, upsampled_bits
from pixelwise.models import SegmentationModel
from pixelwise.models.preprocessing import normalize
from pixelwise.prediction.sizes import floor_index
from pixelwise.prediction.windows import View, bands, best_classes
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.recipe import Precision
from pixelwise.recipes.sizes import Size


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


Answer = Tensor | list[View]
"""What a network says about one image: the logits (1, K, h, w) of the whole and its padding, or several views of it."""


class Decided(NamedTuple):
    """What an answer means for every pixel.

    Attributes:
        labels: (H, W) class ids, uint8 up to 255 classes; of multi-label networks int32 bit fields.
        confidence: (H, W) float32, the probability of each of these classes, where it was asked for.
    """

    labels: Tensor
    confidence: Tensor | None = None


def decide(
    model: SegmentationModel,
    answer: Answer,
    seen_size: Size,
    score_size: Size,
    protocol: Protocol,
    *,
    confidence: bool = False,
) -> Decided:
    """Class ids at the score size, and where it is wanted the probability of each.

    Args:
        model: The network that gave the answer.
        answer: About one image.
        seen_size: (height, width) of the image as the network saw it, without padding.
        score_size: (H, W).
        protocol: Says at which size the best class is taken, and what was padded.
        confidence: Whether probabilities are wanted too; only of a network of one class per pixel.
    """
    labels = None
    if isinstance(answer, Tensor):
        labels = predicted_labels(
            answer, seen_size, score_size, protocol, model.align_corners, multilabel=model.multilabel
        )
        if not confidence:
            return Decided(labels)
    at, views = _decision_size(seen_size, score_size, protocol), _views(model, answer, seen_size, protocol)
    found, sure = best_classes(views, at, model.num_classes, confidence=confidence, multilabel=model.multilabel)
    if labels is None:
        labels = resized_by_floor(found, seen_size, score_size, protocol)
    return Decided(labels, None if sure is None else resized_by_floor(sure, seen_size, score_size, protocol))


def probability_bands(
    model: SegmentationModel, answer: Answer, seen_size: Size, score_size: Size, protocol: Protocol
) -> Iterator[tuple[int, Tensor]]:
    """Probabilities of all classes at the score size, from top to bottom, never those of the whole image together.

    Arguments are those of `decide`; views must have been made to keep their windows.

    Yields:
        The first row of a band, and its probabilities, float32 (K, R, W).
    """
    at = _decision_size(seen_size, score_size, protocol)
    views = _views(model, answer, seen_size, protocol)
    logits = len(views) == 1 and not views[0].are_probabilities
    for first, values in bands(views, at, model.num_classes):
        found = views[0].probabilities(values) if logits else values
        if protocol.argmax_at == "score":
            yield first, found
            continue
        # Rows of the image at the score size that lie in this band; the padding below and beside it is left out.
        rows, columns = (floor_index(*lengths) for lengths in zip(seen_size, score_size, strict=True))
        inside = np.flatnonzero((rows >= first) & (rows < first + found.shape[1]))
        if len(inside):
            chosen = torch.from_numpy(rows[inside] - first).to(found.device)
            yield int(inside[0]), found[:, chosen][:, :, torch.from_numpy(columns).to(found.device)]


def _decision_size(seen_size: Size, score_size: Size, protocol: Protocol) -> Size:
    """The size at which the best class is taken."""
    return score_size if protocol.argmax_at == "score" else padded_size(seen_size, protocol.pad_to)


def _views(model: SegmentationModel, answer: Answer, seen_size: Size, protocol: Protocol) -> list[View]:
    """An answer as views; the whole is one view whose logits are known already."""
    if not isinstance(answer, Tensor):
        return answer
    seen = np.empty((*seen_size, 0), np.uint8)
    aligned, several = model.align_corners, model.multilabel
    return [View(lambda _: answer, seen, protocol, align_corners=aligned, multilabel=several)]


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
    return resized_by_floor(seen, seen_size, score_size, protocol)


def resized_by_floor(values: Tensor, seen_size: Size, score_size: Size, protocol: Protocol) -> Tensor:
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
