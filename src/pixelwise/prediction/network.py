"""Images through a network: logits of the main head, enlarged views, class ids at any size."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.metrics import upsampled_argmax, upsampled_bits
from pixelwise.models import SegmentationModel
from pixelwise.models.preprocessing import normalize
from pixelwise.prediction.sizes import floor_index
from pixelwise.prediction.windows import View
from pixelwise.recipes.protocols import Protocol, Size
from pixelwise.recipes.schema.recipe import Precision


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
