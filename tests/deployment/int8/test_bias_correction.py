from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from deployment.int8.graphs_by_hand import chain
from onnx import numpy_helper

from pixelwise.deployment.int8.bias_correction import channel_means, correct_biases, rounding_shift

# Channel 0: largest weight 127, so the scale is 1, and 0.4 becomes 0. Channel 1: 254, scale 2, and 3 becomes 4.
WEIGHT = np.array([[127.0, 0.4], [254.0, 3.0]], np.float32).reshape(2, 2, 1, 1)


def test_what_rounding_adds_is_the_error_of_the_weights_times_the_mean_of_their_input() -> None:
    shift = rounding_shift(WEIGHT, np.array([10.0, 5.0]))
    assert shift == pytest.approx([-0.4 * 5, 1.0 * 5])


def test_every_group_has_the_means_of_its_own_channels() -> None:
    depthwise = np.array([127.0, 0.4, 254.0, 3.0], np.float32).reshape(2, 1, 1, 2)
    assert rounding_shift(depthwise, np.array([10.0, 5.0])) == pytest.approx([-0.4 * 10, 1.0 * 5])


def inputs() -> list[np.ndarray]:
    """Two images whose channels have the means 2 and 4, and 6 and 0."""
    first = np.array([[1, 3], [4, 4]], np.float32).reshape(1, 2, 1, 2)
    second = np.array([[6, 6], [-1, 1]], np.float32).reshape(1, 2, 1, 2)
    return [first, second]


def test_means_are_over_all_pixels_and_images() -> None:
    means = channel_means(chain(), ["images", "scaled"], inputs)
    assert means["images"] == pytest.approx([4, 2])
    assert means["scaled"] == pytest.approx([2, 1])


def test_the_shift_is_taken_off_the_bias_and_kept_layers_stay(tmp_path: Path) -> None:
    onnx.save(chain(WEIGHT, np.array([1.0, 1.0], np.float32)), tmp_path / "float.onnx")

    def biases(keep: tuple[str, ...]) -> np.ndarray:
        correct_biases(tmp_path / "float.onnx", tmp_path / "corrected.onnx", inputs, keep)
        stored = {tensor.name: tensor for tensor in onnx.load(tmp_path / "corrected.onnx").graph.initializer}
        return numpy_helper.to_array(stored["model.conv1.bias"])

    # The layer sees half of the image: means 2 and 1.
    assert biases(()) == pytest.approx([1 + 0.4 * 1, 1 - 1.0 * 1])
    assert biases(("conv1",)).tolist() == [1.0, 1.0]
