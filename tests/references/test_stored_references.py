"""Scores that torchmetrics and MONAI gave to drawn images: `write_stored_references.py` wrote them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from references.drawn_masks import drawn, drawn_logits, drawn_shapes
from references.write_stored_references import CLASSES, FILE, NUMBERS
from sklearn.calibration import calibration_curve

from pixelwise import metrics
from pixelwise.metrics import CalibrationCounts, calibration_counts, confusion_matrix, scores
from pixelwise.metrics.calibration import BINS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin" / "src" / "pixelwise_example" / "hausdorff.py"


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


def calibration(number: int) -> tuple[CalibrationCounts, np.ndarray, np.ndarray]:
    """The bins of a drawn image, and of its labelled pixels the confidence and whether they are right."""
    logits, labels = drawn_logits(number)
    confidence, prediction = torch.from_numpy(logits).softmax(0).max(0)
    truth, told = labels.astype(np.uint8), prediction.numpy().astype(np.uint8)
    seen = labels != 255
    counts = calibration_counts(truth[None], told[None], confidence.numpy()[None])
    return counts, confidence.numpy()[seen], (truth == told)[seen]


@pytest.mark.parametrize("number", range(NUMBERS))
def test_the_calibration_error_of_torchmetrics(number: int, stored: dict[str, np.ndarray]):
    assert calibration(number)[0].error == pytest.approx(stored["calibration_error"][number], abs=1e-6)


@pytest.mark.parametrize("number", range(0, NUMBERS, 4))
def test_the_bins_of_scikit_learn(number: int):
    counts, confidence, right = calibration(number)
    rights, sures = calibration_curve(right, confidence, n_bins=BINS)
    filled = counts.pixels > 0
    assert counts.right[filled] / counts.pixels[filled] == pytest.approx(rights)
    assert counts.confidence[filled] / counts.pixels[filled] == pytest.approx(sures, abs=1e-6)
    assert counts.pixels.sum() == len(right)


@pytest.mark.parametrize("number", range(NUMBERS))
def test_iou_and_pixel_accuracy_of_torchmetrics(number: int, stored: dict[str, np.ndarray]):
    image = drawn(number, classes=CLASSES)
    found = scores(confusion_matrix(image.labels, image.prediction, CLASSES))
    # What is undefined here is 0 there.
    assert np.nan_to_num(found.iou) == pytest.approx(stored["iou"][number], abs=1e-6)
    assert np.nan_to_num(found.pixel_accuracy) == pytest.approx(stored["pixel_accuracy"][number], abs=1e-6)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The metric of the example plug-in, which registers itself nowhere here."""
    monkeypatch.setattr(metrics, "register", lambda metric: metric)
    spec = importlib.util.spec_from_file_location("hausdorff_of_the_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hausdorff_distance_of_monai(example: ModuleType, stored: dict[str, np.ndarray]):
    found = [example.distance(*drawn_shapes(number)) for number in range(NUMBERS)]
    assert found == pytest.approx(stored["hausdorff95"], abs=1e-4)
    assert max(found) > 20
