"""Class ids and scores of images from a network."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.datasets.reading.regions.images import Region
from pixelwise.models import SegmentationModel
from pixelwise.models.probabilities import probabilities
from pixelwise.prediction.large.blocks import Blocks, Joining, joined_labels
from pixelwise.prediction.network import (
    NetworkOutput,
    decide,
    main_logits,
    padded_size,
    prediction_mode,
    probability_bands,
    views_of,
)
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size


def looked_at(
    model: SegmentationModel, seen: Sequence[np.ndarray], size: Size, protocol: Protocol, *, scores: bool = False
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Class ids of images of equal size, and on request their scores.

    Args:
        model: The network, on its device.
        seen: The images as the network sees them, uint8 (h, w, C) of equal size.
        size: (height, width) of the results.
        protocol: Protocol of one view, which fits the network.
        scores: Whether to return scores.

    Returns:
        Of each image, class ids (H, W), uint8 up to 255 classes, or int32 bit fields; and scores float32 (K, H, W).
    """
    found = []
    with prediction_mode(model):
        logits = main_logits(model, seen, pad_to=protocol.pad_to) if protocol.one_look else None
        for place, image in enumerate(seen):
            own = None if logits is None else logits[place : place + 1]
            found.append(_labels_and_scores(model, image, own, size, protocol, scores=scores))
    return found


def _labels_and_scores(
    model: SegmentationModel, seen: np.ndarray, logits: Tensor | None, size: Size, protocol: Protocol, *, scores: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Class ids or bit fields (H, W) at `size` for an image at the input size, and on request its scores.

    `logits` (1, K, h, w) are those of the image if the protocol takes it in at one look.
    """
    seen_size = (seen.shape[0], seen.shape[1])
    if protocol.window is not None and size == seen_size and not scores:
        return _labels_of_windows(model, seen, protocol), None
    output: NetworkOutput = views_of(model, [seen], protocol, keep=scores) if logits is None else logits
    labels = decide(model, output, seen_size, size, protocol).labels.cpu().numpy()
    if not scores:
        return labels, None
    if isinstance(output, Tensor):
        return labels, _probabilities(model, output, seen_size, size, protocol.pad_to)
    parts = [values for _, values in probability_bands(model, output, seen_size, size, protocol)]
    return labels, torch.cat(parts, 1).cpu().numpy()


def _labels_of_windows(model: SegmentationModel, seen: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Class ids or bit fields (H, W) of an image at its own size, seen through windows of the protocol.

    They are those of `decide`, with a quarter of the logits in memory at once.
    """
    if not model.gives_scores:
        # Class ids cannot be averaged.
        protocol = msgspec.structs.replace(protocol, blend="central")
    size = (seen.shape[0], seen.shape[1])
    blocks = Blocks(
        functools.partial(main_logits, model),
        lambda where: Region(seen[where.top : where.bottom, where.left : where.right]),
        size,
        Joining(protocol, model.align_corners, model.multilabel, scores=model.scores),
        scratch=Path(tempfile.gettempdir()),
    )
    return joined_labels(blocks, size)


def _probabilities(
    model: SegmentationModel, logits: Tensor, seen_size: Size, size: Size, pad_to: Size | None
) -> np.ndarray:
    """Scores float32 (K, H, W) from the logits of the whole image with its padding."""
    enlarge = functools.partial(F.interpolate, mode="bilinear", align_corners=model.align_corners)
    full = logits.float()
    if pad_to is not None:
        full = enlarge(full, padded_size(seen_size, pad_to))[:, :, : seen_size[0], : seen_size[1]]
    full = enlarge(full, size)
    return probabilities(full, model.scores, multilabel=model.multilabel, dim=1)[0].cpu().numpy()
