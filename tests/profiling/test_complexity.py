from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import pixelwise
from pixelwise.models import build_model
from pixelwise.profiling.complexity import complexity


class Small(nn.Module):
    """One of everything that is counted, sizes chosen to be worked out by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, kernel_size=3, stride=2, padding=1)
        self.grouped = nn.Conv2d(4, 4, kernel_size=3, padding=1, groups=4, bias=False)
        self.up = nn.ConvTranspose2d(4, 2, kernel_size=2, stride=2)
        self.linear = nn.Linear(2, 5)
        self.auxiliary = nn.Conv2d(4, 7, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.grouped(self.conv(images)).relu()
        return self.linear(self.up(features).flatten(2).transpose(1, 2))


def test_counts_by_hand() -> None:
    found = complexity(Small(), height=8, width=6)
    # 4x3 outputs of the strided convolution; 12 inputs of the transposed one, 4 pixels each; 48 rows of the linear one.
    by_hand = 12 * 4 * 3 * 9 + 12 * 4 * 9 + 12 * 4 * 2 * 4 + 48 * 2 * 5
    assert found.macs == by_hand == 1296 + 432 + 384 + 480
    assert found.parameters == (3 * 4 * 9 + 4) + 4 * 9 + (4 * 2 * 4 + 2) + (2 * 5 + 5) + (4 * 7 + 7)
    assert found.auxiliary_parameters == 4 * 7 + 7
    assert found.gmacs == by_hand / 1e9
    assert found.uncounted == ("add", "relu")  # the linear layer's bias


def test_attention_is_counted() -> None:
    class Attention(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            tokens = images.flatten(2).transpose(1, 2)[:, None]  # (1, 1, 20, 3)
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)

    # Two products of 20 x 20 x 3.
    assert complexity(Attention(), height=4, width=5).macs == 2 * 20 * 20 * 3


def test_the_network_is_not_touched() -> None:
    model = Small().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    complexity(model, 8, 6)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.heavy
def test_a_name_a_recipe_and_a_spec_are_built_first() -> None:
    entry = pixelwise.recipe("enet-camvid")
    counts = [complexity(what, 360, 480) for what in ("enet-camvid", entry, build_model(entry))]
    assert counts[0] == counts[1] == counts[2]
    assert counts[0].parameters == 356908  # 11 outputs


def test_macs_grow_with_the_area() -> None:
    model = build_model("enet-camvid")
    assert complexity(model, 128, 128).macs * 4 == complexity(model, 256, 256).macs


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0x480"):
        complexity(Small(), 0, 480)
