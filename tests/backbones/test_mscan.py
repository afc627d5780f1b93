"""Parts of MSCAN; the whole network is compared with the original in tests/models/test_segnext.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.mscan import (
    MSCAN,
    VARIANTS,
    Block,
    ConvolutionalAttention,
    FeedForward,
    SpatialAttention,
    Variant,
)
from pixelwise.errors import RecipeError

SMALL = Variant((8, 8, 8, 8), (1, 2, 1, 1), drop_path=0.4)


def ones(part: nn.Module) -> nn.Module:
    """The part with convolutions that add up what they see."""
    for module in part.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    return part


def test_attention_weighs_features_by_what_lies_within_reach_of_three_crosses() -> None:
    attention = ones(ConvolutionalAttention(1))
    features = torch.zeros(1, 1, 41, 41)
    features[0, 0, 20, 20] = 2.0
    seen: list[torch.Tensor] = []
    attention.conv3.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))  # type: ignore[union-attr]

    weighted = attention(features)

    # 5x5 around the centre, each then spread over squares of 7, 11 and 21; 25 of their sums meet in the centre.
    total = seen[0][0, 0]
    assert total[20, 20] == 2 * (1 + 25 + 25 + 25)
    assert (total[20] > 0).sum() == 5 + 20
    assert total[20, 26] == 2 * (0 + 0 + 5 * 2 + 5 * 5)  # a square of 11 sees two of the columns, one of 7 none
    assert weighted[0, 0, 20, 20] == 2 * total[20, 20]
    assert (weighted != 0).sum() == 1


def test_attention_is_added_to_its_input() -> None:
    attention = SpatialAttention(4)
    nn.init.zeros_(attention.proj_2.weight)
    nn.init.zeros_(attention.proj_2.bias)
    features = torch.rand(2, 4, 3, 5)
    assert torch.equal(attention(features), features)


def test_a_feed_forward_part_sees_the_neighbours_of_a_pixel() -> None:
    features = torch.zeros(1, 2, 5, 5)
    features[0, :, 2, 2] = 1.0
    assert ones(FeedForward(2, 4))(features)[0, 0].nonzero().tolist() == [[y, x] for y in (1, 2, 3) for x in (1, 2, 3)]


def test_a_new_block_changes_its_input_by_little() -> None:
    block = Block(8, 4, 0.0).eval()
    features = torch.randn(1, 8, 6, 6)
    assert torch.equal(block.layer_scale_1, torch.full((8,), 0.01))
    with torch.no_grad():
        block.layer_scale_1.zero_()
        block.layer_scale_2.zero_()
    assert torch.equal(block(features), features)


def test_blocks_are_skipped_with_growing_probability() -> None:
    found = [module.drop_path for module in MSCAN("small", variant=SMALL).modules() if isinstance(module, Block)]
    assert found == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert [variant.drop_path for variant in VARIANTS.values()] == [0.1, 0.1, 0.1, 0.3]


@pytest.mark.parametrize("size", [(1, 1), (33, 47)])
def test_any_size_is_encoded(size: tuple[int, int]) -> None:
    encoder = MSCAN("small", in_channels=4, variant=SMALL).eval()
    with torch.no_grad():
        maps = encoder(torch.rand(2, 4, *size))
    assert [tuple(one.shape) for one in maps] == [
        (2, 8, -(-size[0] // stride), -(-size[1] // stride)) for stride in (4, 8, 16, 32)
    ]


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(RecipeError, match="no MSCAN named 'mscan_x'") as caught:
        MSCAN("mscan_x")
    assert caught.value.code == "R207"
    with pytest.raises(RecipeError, match="supports output stride 32, not 16"):
        build_encoder("mscan_t", 16)
