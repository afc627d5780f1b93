"""Artefacts as networks; the graphs here are made by hand."""

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
from pixelwise.runtimes.sidecar import Input, Output


def artefact(engine: Any, **changes: Any) -> ArtefactModel:
    """One around a function; it takes normalised images of 2x3 one by one unless `changes` say otherwise."""
    return ArtefactModel(small_sidecar(**changes), engine, Path("model.onnx"))


def test_a_batch_goes_through_one_of_batch_one_image_by_image() -> None:
    seen = []

    def engine(images: np.ndarray) -> np.ndarray:
        seen.append(images.shape)
        return images[:, :2] + 1

    images = torch.arange(36, dtype=torch.float32).reshape(2, 3, 2, 3)
    (logits,) = artefact(engine).head_logits(images)
    assert seen == [(1, 3, 2, 3), (1, 3, 2, 3)]
    assert torch.equal(logits, images[:, :2] + 1)


def test_class_ids_become_one_for_the_class_and_zero_for_the_others() -> None:
    model = artefact(
        lambda images: np.array([[[0, 1, 1], [1, 0, 0]]], np.uint8),
        output=Output(name="labels", dtype="uint8", stride=1, align_corners=False),
    )
    (scores,) = model.head_logits(torch.zeros(1, 3, 2, 3))
    assert torch.equal(scores[0, 1], torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    assert torch.equal(scores[0, 0], 1 - scores[0, 1])
    assert not model.gives_scores


def test_bytes_go_in_as_they_were_before_they_were_normalised() -> None:
    seen = []

    def engine(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.zeros((1, 2, *images.shape[1:3]), np.float32)

    model = artefact(engine, input=Input(name="images", dtype="uint8", layout="NHWC"))
    raw = np.random.default_rng(0).integers(0, 256, (1, 2, 3, 3), np.uint8)
    mean, std = np.array([0.5, 0.25, 0.0]), np.array([0.5, 0.5, 1.0])
    normalised = ((raw / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    model.head_logits(torch.from_numpy(normalised))
    assert np.array_equal(seen[0], raw)
    main_logits(model, [raw[0]])
    assert np.array_equal(seen[1], raw)
    # What is padded is normalised first, since the padding has the mean colour.
    main_logits(model, [raw[0]], pad_to=(2, 5))
    assert seen[2].shape == (1, 2, 5, 3)
    assert seen[2][0, 0, 4].tolist() == [128, 64, 0]


@pytest.mark.parametrize("name", ["logits", "labels"])
def test_an_output_that_is_not_as_described_is_refused(name: str) -> None:
    good = np.zeros((1, 2, 2, 3), np.float32) if name == "logits" else np.ones((1, 2, 3), np.uint8)
    wrong = [good[..., :2], good[..., :1, :], good[0]]
    wrong += [np.zeros((1, 3, 2, 3), np.float32)] if name == "logits" else [good + 1, good.astype(np.int64) - 2]
    dtype = "float32" if name == "logits" else "uint8"
    described: Any = Output(name=name, dtype=dtype, stride=1, align_corners=False)  # type: ignore[arg-type]
    artefact(lambda images: good, output=described).head_logits(torch.zeros(1, 3, 2, 3))
    for output in wrong:
        with pytest.raises(CheckpointError) as caught:
            artefact(lambda images, output=output: output, output=described).head_logits(torch.zeros(1, 3, 2, 3))
        assert caught.value.code == "K463"


def test_a_smaller_image_is_padded_with_the_mean_colour_to_the_one_size() -> None:
    seen = []

    def engine(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return images[:, :2]

    images = torch.rand(1, 3, 2, 2)
    (logits,) = artefact(engine).head_logits(images)
    assert seen[0].shape == (1, 3, 2, 3)
    assert not seen[0][..., 2].any()
    assert torch.equal(logits, images[:, :2])


def test_a_larger_image_is_refused_by_one_of_one_size() -> None:
    with pytest.raises(CheckpointError) as caught:
        artefact(lambda images: images).head_logits(torch.zeros(1, 3, 4, 5))
    assert caught.value.code == "K464"
    assert "3x2" in caught.value.message
    assert "5x4" in caught.value.help
