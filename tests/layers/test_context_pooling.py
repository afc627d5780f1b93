from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.layers.context_pooling import DAPPM, PAPPM


def plain(pooling: nn.Module) -> nn.Module:
    """The pooling in evaluation mode with weights of 1; of 3x3 kernels only the centre."""
    for part in pooling.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.zeros_(part.weight)
            centre = part.kernel_size[0] // 2
            part.weight.data[:, :, centre, centre] = 1.0
    return pooling.eval()


@pytest.mark.parametrize(
    ("kind", "levels"),
    # A single pixel of value 1: windows of 25, 81 and 289 pixels average the zeros beyond the border too.
    [
        (PAPPM, [1, 1 / 25 + 1, 1 / 81 + 1, 1 / 289 + 1, 2]),
        (DAPPM, [1, 1 / 25 + 1, 1 / 25 + 1 / 81 + 1, 1 / 25 + 1 / 81 + 1 / 289 + 1, 1 / 25 + 1 / 81 + 1 / 289 + 2]),
    ],
)
def test_the_levels_of_one_pixel_by_hand(kind: type, levels: list[float]) -> None:
    with torch.no_grad():
        found = plain(kind(1, 1, 1))(torch.ones(1, 1, 1, 1))
    # The sum of all levels, and the shortcut.
    assert found.item() == pytest.approx(sum(levels) + 1, rel=1e-4)


@pytest.mark.parametrize("kind", [PAPPM, DAPPM])
def test_the_size_stays(kind: type) -> None:
    assert kind(4, 3, 5).eval()(torch.rand(2, 4, 3, 7)).shape == (2, 5, 3, 7)
