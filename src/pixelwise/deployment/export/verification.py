"""Verification of an artefact: its outputs and scores compared with PyTorch's on the same images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from pixelwise.deployment.export.images import VerificationImages
from pixelwise.errors import CheckpointError
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.metrics import upsampled_argmax, upsampled_bits
from pixelwise.models import SegmentationModel, normalize
from pixelwise.observer import SILENT, Observer
from pixelwise.prediction.network import prediction_mode
from pixelwise.runtimes.artefact import ArtefactModel
from pixelwise.runtimes.graphs import ExportedNetwork
from pixelwise.runtimes.sidecar import Verification

LEAST_EQUAL = 0.9999
"""Share of pixels on which a float32 artefact must agree with PyTorch: only ties may be decided differently."""
LEAST_EQUAL_SIMULATED = 0.97
"""Likewise for a network from quantization-aware training, compared with its simulated int8: a runtime that fuses
convolutions rounds at other places."""
LEAST_EQUAL_QUANTIZED = 0.95
"""Likewise for post-training quantization, compared with the network in float32: includes the loss through int8."""


class Difference(NamedTuple):
    """Difference between the outputs of a network and its artefact.

    Attributes:
        images: Number of images that were compared.
        max_difference: Largest absolute difference of a logit; None for class ids; infinite if a logit is not finite.
        logit_range: Largest minus smallest logit in PyTorch; None for class ids.
        equal_pixels: Share of pixels with the same class, 0..1.
    """

    images: int
    max_difference: float | None
    logit_range: float | None
    equal_pixels: float


def compare(network: ExportedNetwork, artefact: ArtefactModel, images: Iterable[np.ndarray]) -> Difference:
    """Run images through a network and its artefact and compare the outputs.

    Args:
        network: The network in PyTorch.
        artefact: The artefact exported from it.
        images: uint8 (H, W, 3) RGB images, of the artefact's size if that is fixed.

    Raises:
        CheckpointError: K463, the artefact fails on an image, or its output has another shape.
    """
    count = equal = pixels = 0
    largest, lowest, highest = 0.0, np.inf, -np.inf
    labels_only = network.options.argmax
    for image in images:
        inputs = network_input(network, image)
        with prediction_mode(network):
            expected = network(inputs).numpy()
        found = artefact.run(inputs.numpy())
        if found.shape != expected.shape:
            raise artefact.failure(
                f"returns shape {found.shape} for an input of shape {tuple(inputs.shape)}, PyTorch {expected.shape}"
            )
        if labels_only:
            same = found == expected
        else:
            difference = np.abs(found - expected).max()
            largest = max(largest, float(difference) if np.isfinite(difference) else np.inf)
            lowest, highest = min(lowest, float(expected.min())), max(highest, float(expected.max()))
            same = _masks(network.model, found, image) == _masks(network.model, expected, image)
        count, equal, pixels = count + 1, equal + int(same.sum()), pixels + same.size
    share = equal / pixels if pixels else 0.0
    if labels_only:
        return Difference(count, None, None, share)
    return Difference(count, largest, highest - lowest, share if np.isfinite(largest) else 0.0)


def _masks(model: SegmentationModel, logits: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Class ids (1, H, W) of the pixels of an image, bit fields for multi-label networks, from logits of any stride."""
    decide = upsampled_bits if model.multilabel else upsampled_argmax
    return decide(torch.from_numpy(logits), (image.shape[0], image.shape[1]), model.align_corners).numpy()


def network_input(network: ExportedNetwork, image: np.ndarray) -> Tensor:
    """Input of a network and its artefact for a uint8 (H, W, C) image, as a batch of one."""
    inputs = torch.from_numpy(np.array(image))[None]  # a copy: decoded images may be read-only
    return inputs if network.options.uint8_input else normalize(inputs, network.model.preprocessing)


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """Criteria that an artefact must meet to be kept.

    Attributes:
        least_equal: Smallest share of pixels that must get the same class, 0..1.
        max_miou_drop: Largest accepted loss of mean IoU, 0..1; None: any.
    """

    least_equal: float = LEAST_EQUAL
    max_miou_drop: float | None = None


def verify(
    network: ExportedNetwork,
    artefact: ArtefactModel,
    images: VerificationImages,
    acceptance: Acceptance,
    miou_pytorch: float | None = None,
    observer: Observer = SILENT,
) -> Verification:
    """Compare an artefact with PyTorch; with labels, score both under the recipe's protocol, each in its own way.

    Args:
        network: The network in PyTorch.
        artefact: The artefact exported from it.
        images: Images to run both on.
        acceptance: Criteria that the artefact must meet.
        miou_pytorch: Mean IoU of the network in PyTorch, 0..1, if it is already known.
        observer: Receives the phases, and the number of images scored, of the network and then of the artefact.

    Raises:
        CheckpointError: K463, the artefact fails.
        DataError: An image or a mask cannot be read.
    """
    found = compare(network, artefact, images.read())
    scores: Sequence[float | None] = (None, None)
    if images.dataset is not None:
        if miou_pytorch is None:
            observer.phase("scoring PyTorch")
            miou_pytorch = miou_on(network.model, images, observer)
        observer.phase(f"scoring {artefact.sidecar.runtime}")
        scores = (miou_pytorch, miou_on(artefact, images, observer))
    return Verification(
        images=found.images,
        source=images.source,
        max_difference=found.max_difference,
        logit_range=found.logit_range,
        equal_pixels=found.equal_pixels,
        least_equal_pixels=acceptance.least_equal,
        miou_pytorch=scores[0],
        miou_artefact=scores[1],
        max_miou_drop=acceptance.max_miou_drop,
    )


def miou_on(model: SegmentationModel, images: VerificationImages, observer: Observer = SILENT) -> float:
    """Mean IoU, 0..1, on images with labels."""
    if images.dataset is None:
        raise AssertionError("these images have no labels to score on")
    measured = evaluate_model(
        model, images.dataset, images.split, images.protocol, input_size=images.input_size, observer=observer
    )
    return measured.miou


def differs(verification: Verification) -> CheckpointError:
    """Error K465 for an artefact that does not pass verification."""
    difference = (
        f"; logits differ by up to {verification.max_difference:.2g} over a range of {verification.logit_range:.2g}"
        if verification.max_difference is not None and verification.logit_range is not None
        else ""
    )
    return CheckpointError(
        "K465",
        f"the artefact differs from PyTorch: on {verification.source} {100 * verification.equal_pixels:.3f} % of the "
        f"pixels have the same class, expected at least {100 * verification.least_equal_pixels:.3f} %{difference}",
        "the artefact was discarded; keep it with `force`, or try another `target` or `size`",
    )
