"""Artefacts without PyTorch do what they do as networks; the graphs here are functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runtimes.descriptions import small_sidecar

from pixelwise.errors import CheckpointError
from pixelwise.prediction.network import main_logits
from pixelwise.runtimes.artefact import ArtefactModel
from pixelwise.runtimes.plain import PlainArtefact
from pixelwise.runtimes.sidecar import Input, Output

KINDS = {
    "one size, normalised": {},
    "any size, normalised": {"input": Input(name="images", dtype="float32", layout="NCHW")},
    "one size, bytes": {"input": Input(name="images", dtype="uint8", layout="NHWC", size=(2, 3), batch=1)},
    "any size, bytes": {"input": Input(name="images", dtype="uint8", layout="NHWC")},
    "class ids": {"output": Output(name="labels", dtype="uint8", stride=1, align_corners=False)},
    "stride 2": {"output": Output(name="logits", dtype="float32", stride=2, align_corners=False)},
}


def graph(kind: dict[str, Any]) -> Any:
    """A function from inputs to outputs as the description of the kind says."""
    bytes_in = kind.get("input", small_sidecar().input).dtype == "uint8"
    output = kind.get("output", small_sidecar().output)

    def run(images: np.ndarray) -> np.ndarray:
        values = images.transpose(0, 3, 1, 2).astype(np.float32) if bytes_in else images
        logits = values[:, :2, :: output.stride, :: output.stride]
        return (logits[:, 1] > logits[:, 0]).astype(np.uint8) if output.name == "labels" else logits

    return run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pad_to", [None, (2, 3)])
@pytest.mark.parametrize("size", [(2, 3), (1, 2)])
def test_the_values_are_those_of_the_network_with_pytorch(kind: str, pad_to, size):
    images = list(np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8))
    sidecar, run = small_sidecar(**KINDS[kind]), graph(KINDS[kind])
    with torch.inference_mode():
        wanted = main_logits(ArtefactModel(sidecar, run, Path("model.onnx")), images, pad_to=pad_to)
    found = PlainArtefact(sidecar, run, Path("model.onnx")).head_logits(images, pad_to)
    assert found.dtype == np.float32
    assert np.array_equal(found, wanted.float().numpy())


def test_by_hand():
    seen = []
    model = PlainArtefact(small_sidecar(), lambda images: seen.append(images) or images[:, :2], Path("model.onnx"))
    found = model.head_logits([np.full((1, 3, 3), 255, np.uint8)])
    # (1 - 0.5) / 0.5, (1 - 0.25) / 0.5; the row below the image is the mean colour.
    assert seen[0][0, :, 0, 0].tolist() == [1.0, 1.5, 1.0]
    assert not seen[0][..., 1, :].any()
    assert found.tolist() == [[[[1.0, 1.0, 1.0]], [[1.5, 1.5, 1.5]]]]


def test_a_larger_image_and_a_wrong_output_are_refused():
    model = PlainArtefact(small_sidecar(), lambda images: images, Path("model.onnx"))
    for size, code in (((4, 5), "K464"), ((2, 3), "K463")):
        with pytest.raises(CheckpointError) as caught:
            model.head_logits([np.zeros((*size, 3), np.uint8)])
        assert caught.value.code == code
