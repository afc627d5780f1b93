"""Class ids and scores by hand; `tests/prediction/light/test_looking.py` holds the ways of looking against arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from runtimes.descriptions import small_sidecar

from pixelwise.prediction.engine.looking import looked_at
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.runtimes.artefact import ArtefactModel
from pixelwise.runtimes.sidecar import Input


def test_each_image_gets_its_class_ids_and_scores():
    sidecar = small_sidecar(
        preprocessing=Preprocessing(mean=(0, 0, 0), std=(1, 1, 1)),
        input=Input(name="images", dtype="float32", layout="NCHW"),
    )
    model = ArtefactModel(sidecar, lambda images: images[:, :2] * np.float32(np.log(3)), Path("model.onnx"))
    red, green = np.zeros((2, 1, 2, 3), np.uint8)
    red[..., 0], green[..., 1] = 255, 255

    (first, sure), (second, _) = looked_at(model, [red, green], (2, 4), Protocol(name="x", summary=""), scores=True)

    assert first.tolist() == [[0] * 4] * 2
    assert second.tolist() == [[1] * 4] * 2
    assert sure is not None
    assert np.allclose(sure, np.array([0.75, 0.25])[:, None, None])
    for protocol in (
        Protocol(name="x", summary=""),
        Protocol(name="x", summary="", window=(1, 1), window_stride=(1, 1)),
    ):
        ((labels, none),) = looked_at(model, [np.concatenate([red, green])], (2, 2), protocol)
        assert labels.tolist() == [[0, 0], [1, 1]]
        assert none is None
