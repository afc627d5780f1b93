"""Masks and scores without PyTorch are those with it, over the ways in which an artefact can look at an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from runtimes.descriptions import small_sidecar

from pixelwise.prediction.engine import looking as with_pytorch
from pixelwise.prediction.light import looking
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.runtimes.artefact import ArtefactModel
from pixelwise.runtimes.plain import PlainArtefact
from pixelwise.runtimes.sidecar import Input, Output

CLASSES = ("road", "sky", "tree", "sign")
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "argmax before resizing": {"argmax_at": "input"},
    "padded": {"argmax_at": "input", "pad_to": (40, 30)},
    "windows, logits averaged": {"window": (16, 12), "window_stride": (12, 9)},
    "windows, probabilities averaged": {"window": (16, 12), "window_stride": (12, 9), "blend": "probabilities"},
    "windows, nearest centre": {"window": (16, 12), "window_stride": (12, 9), "blend": "central"},
    "windows at equal distances": {"window": (16, 12), "even_windows": True},
    "windows in batches": {"window": (16, 12), "window_stride": (12, 9), "window_batch": 3},
    "a window that is larger than the image": {"window": (99, 99), "window_stride": (50, 50)},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "logits": {},
    "logits of stride 4": {"output": Output(name="logits", dtype="float32", stride=4, align_corners=False)},
    "with aligned corners": {"output": Output(name="logits", dtype="float32", stride=4, align_corners=True)},
    "scores": {"output": Output(name="logits", dtype="float32", stride=4, align_corners=False, scores="probabilities")},
    "class ids": {"output": Output(name="labels", dtype="uint8", stride=1, align_corners=False)},
    "several classes per pixel": {"recipe": {"data": {"multilabel": True}}},
}
SEEN = (31, 29)


def graph(output: Output) -> Any:
    """A network that mixes the channels of a pixel, and sees where in its input it is, as padding makes networks do."""
    mixing = np.random.default_rng(5).normal(size=(len(CLASSES), 3)).astype(np.float32)

    def run(images: np.ndarray) -> np.ndarray:
        height, width = images.shape[-2:]
        down, across = np.linspace(0, 1, height, dtype=np.float32), np.linspace(0, 1, width, dtype=np.float32)
        logits = np.einsum("kc,bchw->bkhw", mixing, images) + (down[:, None] - across)
        logits = np.ascontiguousarray(logits[..., :: output.stride, :: output.stride]).astype(np.float32)
        if output.name == "labels":
            return logits.argmax(1).astype(np.uint8)
        return abs(logits) if output.scores == "probabilities" else logits

    return run


def both(network: str) -> tuple[ArtefactModel, PlainArtefact]:
    facts: dict[str, Any] = {
        "classes": CLASSES,
        "palette": ((1, 2, 3),) * len(CLASSES),
        "preprocessing": Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3)),
        "input": Input(name="images", dtype="float32", layout="NCHW"),
        **NETWORKS[network],
    }
    sidecar = small_sidecar(**facts)
    run = graph(sidecar.output)
    return ArtefactModel(sidecar, run, Path("model.onnx")), PlainArtefact(sidecar, run, Path("model.onnx"))


@pytest.mark.parametrize("size", [SEEN, (62, 58), (17, 40)], ids=["own size", "enlarged", "another shape"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("network", NETWORKS)
def test_masks_and_scores_are_those_with_pytorch(monkeypatch: pytest.MonkeyPatch, network: str, way: str, size):
    protocol = msgspec.structs.replace(Protocol(name="x", summary="", argmax_at="score"), **WAYS[way])
    images = list(np.random.default_rng(1).integers(0, 256, (2, *SEEN, 3), np.uint8))
    monkeypatch.setattr(looking, "BAND_VALUES", 700)  # several bands
    model, plain = both(network)
    scores = plain.gives_scores

    wanted = with_pytorch.looked_at(model, images, size, protocol, scores=scores)
    found = looking.looked_at(plain, images, size, protocol, scores=scores)

    for (labels, sure), (their_labels, their_sure) in zip(found, wanted, strict=True):
        assert labels.dtype == their_labels.dtype
        assert np.array_equal(labels, their_labels)
        if scores:
            assert sure is not None
            assert their_sure is not None
            assert sure.shape == their_sure.shape
            assert np.abs(sure - their_sure).max() < 1e-5
    # Without scores the masks are the same.
    alone = looking.looked_at(plain, images, size, protocol)
    assert all(np.array_equal(one[0], other[0]) and one[1] is None for one, other in zip(alone, found, strict=True))
