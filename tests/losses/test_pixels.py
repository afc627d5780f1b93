import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.losses.pixels import average, in_range, labelled_classes, pixel_weights, same_size


@pytest.mark.parametrize(("height", "width"), [(512, 64), (7, 3), (10, 10)])
def test_shrunk_labels_are_those_of_pillow(height: int, width: int):
    labels = np.random.default_rng(0).integers(0, 19, (height, height), dtype=np.uint8)
    expected = Image.fromarray(labels).resize((width, width), Image.Resampling.NEAREST)
    _, found = same_size(torch.zeros(1, 1, width, width), torch.from_numpy(labels)[None], "logits", align_corners=False)
    assert np.array_equal(found[0].numpy(), np.asarray(expected))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_the_classes_of_every_image_are_found(dtype: torch.dtype):
    labels = torch.tensor([[[0, 254], [0, 255]], [[255, 255], [255, 255]], [[7, 3], [3, 3]]], dtype=dtype)
    assert labelled_classes(labels) == [[0, 254], [], [3, 7]]


def test_ignored_pixels_weigh_nothing():
    targets = torch.tensor([[[0, 1, 255]]])
    assert pixel_weights(targets, 2, torch.tensor([3.0, 5.0]), torch.float32).tolist() == [[[3, 5, 0]]]
    assert pixel_weights(targets, 2, None, torch.float32).tolist() == [[[1, 1, 0]]]


def test_a_sum_is_divided_by_the_weights_or_by_all_pixels():
    weights = torch.tensor([[[3.0, 5.0, 0.0, 0.0]]])
    assert average(torch.tensor(16.0), weights, "valid").item() == 2
    assert average(torch.tensor(16.0), weights, "all").item() == 4
    assert average(torch.tensor(0.0), torch.zeros(1, 1, 2), "valid").item() == 0


def test_ordinary_weights_keep_their_bits_and_others_their_ratios():
    ordinary = torch.tensor([0.0, 0.3, 1.7, 1e-9])
    assert in_range(ordinary, "valid") is not None
    assert torch.equal(in_range(ordinary, "valid"), ordinary)  # type: ignore[arg-type]
    assert in_range(torch.tensor([2e30, 1e30, 0.0]), "valid").tolist() == [1, 0.5, 0]  # type: ignore[union-attr]
    assert in_range(torch.tensor([2e-30, 1e-30]), "valid").tolist() == [1, 0.5]  # type: ignore[union-attr]
    assert in_range(torch.tensor([1.0, 1e-30]), "valid").tolist() == [1, 0]  # type: ignore[union-attr]
    assert in_range(torch.zeros(2), "valid").tolist() == [0, 0]  # type: ignore[union-attr]
    assert in_range(torch.tensor([2e30, 1.0]), "all").tolist() == pytest.approx([2e30, 1])  # type: ignore[union-attr]
    assert in_range(None, "valid") is None
