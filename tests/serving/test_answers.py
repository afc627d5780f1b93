from __future__ import annotations

import io
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from pixelwise.prediction.prediction import Prediction
from pixelwise.serving.answers import answer, needs_scores, run_lengths
from pixelwise.serving.messages import Order

BOTH = np.array([[[1, 1, 0]], [[0, 1, 0]]], np.uint8)
"""Two classes (2, 1, 3), both in the middle, neither at the right."""


def several() -> Prediction:
    return Prediction(
        image=np.zeros((1, 3, 3), np.uint8),
        labels=BOTH,
        scores=np.array([[[0.9, 0.9, 0.1]], [[0.1, 0.9, 0.1]]], np.float32),
        classes=("tree", "ground/water"),
        palette=((1, 2, 3), (4, 5, 6)),
        multilabel=True,
    )


def order(form: str, scores: bool = False) -> Order:
    return Order(number=1, content=b"", form=form, scores=scores)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(8))
def test_run_lengths_are_those_of_coco(seed):
    random = np.random.default_rng(seed)
    mask = (random.random((random.integers(1, 9), random.integers(1, 9))) < 0.5).astype(np.uint8)
    found = run_lengths(mask)
    assert np.array_equal(coco.decode(coco.frPyObjects(found, *mask.shape)), mask)


def test_run_lengths_begin_outside():
    assert run_lengths(np.array([[1, 0], [1, 1]])) == {"size": [2, 2], "counts": [0, 2, 1, 1]}
    assert run_lengths(np.zeros((2, 3))) == {"size": [2, 3], "counts": [6]}


def test_each_of_several_classes_of_a_pixel_is_answered(tmp_path: Path):
    archive = zipfile.ZipFile(io.BytesIO(answer(several(), order("mask"), None, tmp_path).content))
    assert archive.namelist() == ["tree.png", "ground_water.png"]
    planes = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in archive.namelist()]
    assert np.array_equal(planes, BOTH * 255)
    found = msgspec.json.decode(answer(several(), order("rle"), None, tmp_path).content)["classes"]
    assert [(one["name"], one["pixels"], one["rle"]["counts"]) for one in found] == [
        ("tree", 2, [0, 2, 1]),
        ("ground/water", 1, [1, 1, 1]),
    ]


def test_arrays_are_the_bytes_of_labels_and_scores(tmp_path: Path):
    assert answer(several(), order("arrays"), None, tmp_path).content == BOTH.tobytes()
    content = answer(several(), order("arrays", scores=True), None, tmp_path).content
    assert np.frombuffer(content[6:], "<f4").tolist() == pytest.approx([0.9, 0.9, 0.1, 0.1, 0.9, 0.1])


def test_scores_are_computed_only_if_they_are_asked_for(tmp_path: Path):
    asked = [(form, scores) for form in ("mask", "arrays", "probabilities") for scores in (False, True)]
    assert [needs_scores(order(*one)) for one in asked] == [False, False, False, True, True, True]
    answer(several(), order("probabilities"), None, tmp_path)
    assert list(tmp_path.iterdir()) == []
