from __future__ import annotations

import pytest
import torch

from pixelwise.layers.resizing import enlarge_smoothly, resize_to


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


def test_smooth_enlarging_is_bicubic() -> None:
    features = torch.tensor([[[[0.0, 0.0, 16.0, 16.0]]]])

    enlarged = enlarge_smoothly(features, torch.zeros(1, 9, 1, 8))

    # Keys' kernel with -0.75, for pixels whose centres are 0.75 and 1.75 pixels away.
    near, far = 1.25 * 0.75**3 - 2.25 * 0.75**2 + 1, -0.75 * 1.75**3 + 3.75 * 1.75**2 - 6 * 1.75 + 3
    assert enlarged.flatten()[3:5].tolist() == pytest.approx([16 * (near + far), 16 * (1 - near - far)])


def test_smooth_enlarging_keeps_the_type_and_maps_of_the_right_size() -> None:
    features = torch.rand(1, 2, 3, 4, dtype=torch.bfloat16)

    assert enlarge_smoothly(features, torch.zeros(1, 9, 3, 4)) is features
    assert enlarge_smoothly(features, torch.zeros(1, 9, 6, 8)).dtype == torch.bfloat16
