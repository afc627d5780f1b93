from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.mit import VARIANTS, Block, EfficientAttention, MiT, MixFeedForward
from pixelwise.errors import RecipeError


@pytest.fixture(scope="module")
def mit_b0() -> MiT:
    torch.manual_seed(0)
    return MiT("mit_b0").eval()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mit_b0", 3_319_392),
        ("mit_b1", 13_151_424),
        ("mit_b2", 24_196_288),
        ("mit_b3", 44_072_128),
        ("mit_b4", 60_842_688),
        ("mit_b5", 81_443_008),
    ],
)
def test_the_number_of_parameters_is_the_published_one(name: str, parameters: int) -> None:
    with torch.device("meta"):
        encoder = MiT(name)

    assert sum(parameter.numel() for parameter in encoder.parameters()) == parameters


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (28, 29), (33, 47), (64, 96)])
def test_any_size_gives_four_maps_whose_sizes_are_rounded_up(mit_b0: MiT, size: tuple[int, int]) -> None:
    with torch.no_grad():
        maps = mit_b0(torch.rand(2, 3, *size))

    assert [tuple(map_.shape) for map_ in maps] == [
        (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip((32, 64, 160, 256), (4, 8, 16, 32), strict=True)
    ]
    assert all(map_.isfinite().all() for map_ in maps)


def test_attention_is_multi_head_attention_to_the_reduced_map() -> None:
    torch.manual_seed(0)
    attention = EfficientAttention(8, heads=2, reduction=2, eps=1e-6).double()
    nn.init.normal_(attention.reduction_norm.weight)
    nn.init.normal_(attention.reduction_norm.bias)
    reference = nn.MultiheadAttention(8, 2, batch_first=True).double()
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat((attention.query.weight, attention.key_value.weight)))
        reference.in_proj_bias.copy_(torch.cat((attention.query.bias, attention.key_value.bias)))
    reference.out_proj.load_state_dict(attention.output.state_dict())
    features = torch.randn(3, 5, 6, 8, dtype=torch.float64)

    # The fifth row fills no window.
    reduced = F.conv2d(features.permute(0, 3, 1, 2), attention.reduction.weight, attention.reduction.bias, stride=2)
    keys = attention.reduction_norm(reduced.flatten(2).transpose(1, 2))
    expected, _ = reference(features.flatten(1, 2), keys, keys)

    assert keys.shape == (3, 2 * 3, 8)
    assert torch.allclose(attention(features).flatten(1, 2), expected, atol=1e-12)


def test_a_map_smaller_than_a_window_is_enlarged_to_one_by_repeating() -> None:
    torch.manual_seed(0)
    attention = EfficientAttention(4, heads=1, reduction=4, eps=1e-6)
    features = torch.randn(1, 2, 4, 4)
    seen: list[Tensor] = []
    attention.reduction.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))

    attention(features)

    rows = seen[0].permute(0, 2, 3, 1)[0]
    assert torch.equal(rows, torch.stack((features[0, 0], features[0, 1], features[0, 1], features[0, 1])))


def test_the_feed_forward_part_mixes_neighbours_between_its_linear_layers() -> None:
    part = MixFeedForward(1)
    with torch.no_grad():
        part.expand.weight.fill_(1)
        part.expand.bias.zero_()
        part.depthwise.weight.fill_(1)
        part.depthwise.bias.zero_()
        part.project.weight.fill_(0.25)
        part.project.bias.zero_()
    features = torch.arange(6.0).reshape(1, 2, 3, 1)

    # Every window of 3x3 sees both rows and two or three columns; GELU comes behind the sum.
    sums = torch.tensor([0 + 1 + 3 + 4, 15, 1 + 2 + 4 + 5]).float()

    assert torch.allclose(part(features)[0, :, :, 0], F.gelu(sums).expand(2, 3))


def test_blocks_are_skipped_more_often_the_deeper_they_are() -> None:
    probabilities = [module.drop_path for module in MiT("mit_b0").modules() if isinstance(module, Block)]

    assert probabilities == pytest.approx([0.1 * block / 7 for block in range(8)])


def test_an_image_that_skips_a_part_keeps_its_features_and_the_others_are_scaled_up() -> None:
    torch.manual_seed(0)
    block = Block(4, heads=1, reduction=1, drop_path=0.5, eps=1e-6)
    branch = torch.rand(64, 2, 2, 4) + 1

    skipped = block.train()._skip(branch)

    kept = skipped.flatten(1).amax(dim=1) > 0
    assert 16 < kept.sum() < 48
    assert torch.equal(skipped[kept], 2 * branch[kept])
    assert torch.equal(skipped[~kept], torch.zeros_like(branch[~kept]))
    assert torch.equal(block.eval()._skip(branch), branch)


def test_every_normalisation_has_the_given_epsilon() -> None:
    norms = [module for module in MiT("mit_b0", eps=1e-5).modules() if isinstance(module, nn.LayerNorm)]

    # Embedding and end of 4 stages; two in each of 8 blocks and one more in the 6 that reduce.
    assert len(norms) == 4 * 2 + 8 * 2 + 6
    assert {norm.eps for norm in norms} == {1e-5}


def test_initial_weights_have_the_published_spread(mit_b0: MiT) -> None:
    block = mit_b0.stages[3].blocks[0]

    assert block.feed_forward.expand.weight.std().item() == pytest.approx(0.02, rel=0.02)
    # A depthwise convolution's fan-out is 9, that of the first embedding 7 * 7 * 32.
    assert block.feed_forward.depthwise.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert mit_b0.stages[0].embedding.conv.weight.std().item() == pytest.approx((2 / 1568) ** 0.5, rel=0.05)
    assert not block.feed_forward.expand.bias.any()


def test_an_unknown_variant_is_an_error() -> None:
    with pytest.raises(RecipeError, match="'mit_b6'") as caught:
        MiT("mit_b6")

    assert caught.value.code == "R207"
    assert all(name in caught.value.help for name in VARIANTS)
