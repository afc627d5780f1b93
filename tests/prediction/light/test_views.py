"""Rows of an image from windows, read band by band; the graph here is the identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtimes.descriptions import small_sidecar

from pixelwise.prediction.light.views import Whole, Windows
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.runtimes.plain import PlainArtefact
from pixelwise.runtimes.sidecar import Input

IMAGE = np.random.default_rng(0).integers(0, 256, (25, 31, 3), np.uint8)


def identity(shown: list[tuple[int, ...]]) -> PlainArtefact:
    """An artefact of three classes whose logits are the channels of the image, 0..1."""
    sidecar = small_sidecar(
        classes=("red", "green", "blue"),
        palette=((1, 2, 3),) * 3,
        preprocessing=Preprocessing(mean=(0, 0, 0), std=(1, 1, 1)),
        input=Input(name="images", dtype="float32", layout="NCHW"),
    )
    return PlainArtefact(sidecar, lambda images: shown.append(images.shape) or images, Path("model.onnx"))


@pytest.mark.parametrize("blend", ["logits", "central"])
@pytest.mark.parametrize("band", [1, 4, 25])
def test_windows_of_an_identity_are_the_image_in_bands_of_any_height(blend, band):
    shown: list[tuple[int, ...]] = []
    protocol = Protocol(name="x", summary="", window=(10, 12), window_stride=(8, 9), blend=blend, window_batch=2)
    view = Windows(identity(shown), IMAGE, protocol)
    rows = [view.rows(first, min(first + band, 25), (25, 31)) for first in range(0, 25, band)]
    assert np.allclose(np.concatenate(rows, 1), IMAGE.transpose(2, 0, 1) / 255, atol=1e-6)
    # Four columns and three rows of windows, each once, at most two at a time.
    assert sum(shape[0] for shape in shown) == 12
    assert {shape[0] for shape in shown} == {2}


def test_windows_are_forgotten_once_their_rows_were_read():
    view = Windows(identity([]), IMAGE, Protocol(name="x", summary="", window=(10, 31), window_stride=(8, 31)))
    kept = []
    for first in range(25):
        view.rows(first, first + 1, (25, 31))
        kept.append(len(view._known))
    assert max(kept) == 2


def test_logits_of_the_whole_image_are_resized_row_by_row():
    logits = np.array([[[0.0, 2.0], [4.0, 6.0]]], np.float32)
    view = Whole(logits, align_corners=True)
    assert view.rows(1, 3, (3, 3)).tolist() == [[[2.0, 3.0, 4.0], [4.0, 5.0, 6.0]]]
