from __future__ import annotations

import pytest
import torch

from pixelwise.layers.resizing import resize_to


@pytest.mark.parametrize(
    ("align_corners", "expected"), [(False, [0.0, 1.0, 3.0, 4.0]), (True, [0.0, 4 / 3, 8 / 3, 4.0])]
)
def test_resizing_is_bilinear(align_corners: bool, expected: list[float]) -> None:
    features = torch.tensor([[[[0.0, 4.0]]]])

    resized = resize_to(features, torch.zeros(1, 9, 1, 4), align_corners=align_corners)

    assert resized.flatten().tolist() == pytest.approx(expected)


def test_nothing_is_copied_when_the_size_is_right() -> None:
    features = torch.rand(1, 2, 3, 4)

    assert resize_to(features, torch.zeros(1, 9, 3, 4)) is features
