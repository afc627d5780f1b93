from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pixelwise.metrics import METRICS, ScoredImage, Task, calibration_counts
from pixelwise.metrics.calibration import BINS


def row(*values: float, dtype: type = np.uint8) -> np.ndarray:
    return np.array([values], dtype)


def test_the_error_is_the_weighted_distance_of_confidence_and_accuracy():
    # Bin of 0.9: two pixels, one right, so 0.5 against 0.9. Bin of 0.5: two pixels, both right: 1 against 0.5.
    counts = calibration_counts(row(0, 0, 1, 1), row(0, 1, 1, 1), row(0.9, 0.9, 0.5, 0.5, dtype=np.float32))

    assert counts.error == pytest.approx((2 * 0.4 + 2 * 0.5) / 4)


def test_being_right_as_often_as_sure_is_no_error():
    counts = calibration_counts(row(0, 0, 0, 0), row(0, 0, 0, 1), row(*[0.75] * 4, dtype=np.float32))

    assert counts.error == 0.0


def test_over_and_under_confidence_in_one_bin_cancel_out_and_in_two_they_do_not():
    sure = row(0.7, 0.7, dtype=np.float32)
    together = calibration_counts(row(0, 0), row(0, 1), sure)
    apart = calibration_counts(row(0, 0), row(0, 1), row(0.6, 0.8, dtype=np.float32))

    assert together.error == pytest.approx(0.2)
    assert apart.error == pytest.approx((0.4 + 0.8) / 2)


def test_ignored_pixels_do_not_count():
    counts = calibration_counts(row(0, 255), row(0, 0), row(1.0, 0.4, dtype=np.float32))

    assert counts.pixels.sum() == 1
    assert counts.error == 0.0
    assert math.isnan(calibration_counts(row(255), row(0), row(0.4, dtype=np.float32)).error)


def test_a_bin_holds_its_upper_end():
    counts = calibration_counts(row(0, 0, 0), row(0, 0, 0), row(1 / 3, 0.34, 1.0, dtype=np.float32))

    assert counts.pixels.nonzero()[0].tolist() in ([4, 5, 14], [5, 14])  # 1/3 is not a float32
    assert counts.pixels[14] == 1


def test_counts_add_up():
    one = calibration_counts(row(0, 0), row(0, 1), row(0.9, 0.9, dtype=np.float32))

    both = one + one

    assert (both.pixels.sum(), both.right.sum()) == (4, 2)
    assert both.error == pytest.approx(one.error)


def test_the_metric_adds_up_the_bins_of_all_images():
    task = Task(classes=("a", "b"))
    accumulator = METRICS.find("calibration_error").accumulator(task)
    assert math.isnan(accumulator.compute().value)
    for labels, prediction, sure in ((row(0, 0), row(0, 1), (0.9, 0.9)), (row(1, 1), row(1, 1), (0.5, 0.5))):
        confidence = torch.tensor([sure], dtype=torch.float32)
        accumulator.update(ScoredImage("x", labels, torch.from_numpy(prediction), task, confidence=confidence))

    # As above, in two images.
    found = accumulator.compute()
    assert found.value == pytest.approx((2 * 0.4 + 2 * 0.5) / 4)
    assert len(found.bins) == BINS
    assert sum(pixels for pixels, _, _ in found.bins) == 4
