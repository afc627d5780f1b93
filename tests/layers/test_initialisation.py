from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.layers.initialisation import he_normal, small_normal, truncated_normal


@pytest.fixture
def conv() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(64, 256, kernel_size=3)


@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 64 * 9), ("fan_out", 256 * 9)])
def test_he_s_weights_have_a_variance_of_two_by_the_fan(conv: nn.Conv2d, mode: str, fan: int) -> None:
    part = nn.Sequential(nn.Sequential(conv), nn.BatchNorm2d(256))

    assert he_normal(part, mode) is part  # type: ignore[arg-type]
    assert conv.weight.var().item() == pytest.approx(2 / fan, rel=0.05)
    assert conv.bias is not None
    assert not conv.bias.any()


def test_truncated_weights_end_at_two_standard_deviations(conv: nn.Conv2d) -> None:
    truncated_normal(conv, 0.5)

    assert 0.95 < conv.weight.abs().max() <= 1.0
    assert conv.bias is not None
    assert not conv.bias.any()


def test_a_classifier_begins_small(conv: nn.Conv2d) -> None:
    small_normal(conv)

    assert conv.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert conv.bias is not None
    assert not conv.bias.any()
