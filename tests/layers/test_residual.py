from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.layers.residual import BasicBlock, Bottleneck, basic_stage


def silent(block: nn.Module) -> nn.Module:
    """The block in evaluation mode, with a residual of 0."""
    for name, part in block.named_modules():
        if isinstance(part, nn.Conv2d) and "shortcut" not in name:
            nn.init.zeros_(part.weight)
    return block.eval()


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (BasicBlock(1, 1, activated=True), [0.0, 2.0]),
        (BasicBlock(1, 1, activated=False), [-1.0, 2.0]),
    ],
)
def test_a_sum_is_rectified_only_if_asked(block: nn.Module, expected: list[float]) -> None:
    features = torch.tensor([-1.0, 2.0]).view(1, 1, 1, 2)
    with torch.no_grad():
        assert silent(block)(features).flatten().tolist() == expected


def test_a_bottleneck_doubles_its_channels_and_never_rectifies() -> None:
    block = Bottleneck(2, 1)
    with torch.no_grad():
        assert silent(block)(torch.tensor([-1.0, 2.0]).view(1, 2, 1, 1)).flatten().tolist() == [-1.0, 2.0]
    assert Bottleneck(4, 4, stride=2).eval()(torch.rand(1, 4, 5, 7)).shape == (1, 8, 3, 4)


def test_only_the_last_block_of_a_stage_keeps_negative_sums() -> None:
    stage = basic_stage(3, 8, 3, stride=2)
    assert [block.activated for block in stage] == [True, True, False]  # type: ignore[union-attr]
    found = stage.eval()(torch.rand(2, 3, 9, 8))
    assert found.shape == (2, 8, 5, 4)
    assert found.min() < 0
