"""EfficientViT: its attention against the same attention written out pixel by pixel."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.efficientvit import EfficientViT, LinearAttention

CHANNELS = 4


@pytest.fixture
def attention() -> LinearAttention:
    """Two heads of two channels at each of two scales; the aggregation is the identity times 2."""
    torch.manual_seed(3)
    wide = 3 * CHANNELS
    aggregate = nn.Conv2d(wide, wide, kernel_size=1, groups=wide, bias=False)
    nn.init.constant_(aggregate.weight, 2.0)
    return LinearAttention(
        SimpleNamespace(
            dim=2,
            qkv=nn.Conv2d(CHANNELS, wide, kernel_size=1, bias=False),
            aggreg=nn.ModuleList([aggregate]),
            proj=nn.Identity(),
        )
    ).double()


def test_a_pixel_is_the_mean_of_all_values_weighted_by_their_keys(attention: LinearAttention) -> None:
    features = torch.randn(1, CHANNELS, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        found = attention(features).flatten(2)[0]
        one_scale = attention.qkv(features).flatten(2)[0]
    for head in range(4):
        start, factor = 6 * (head % 2), 1 + head // 2
        query, key, value = (factor * one_scale[start + 2 * part : start + 2 * part + 2] for part in range(3))
        weights = key.clamp(min=0).T @ query.clamp(min=0)
        for pixel in range(6):
            total = weights[:, pixel].sum()
            expected = (value * weights[:, pixel]).sum(dim=1) / total if total else torch.zeros(2)
            assert found[2 * head : 2 * head + 2, pixel].tolist() == pytest.approx(expected.tolist())


def test_a_query_that_no_key_answers_gives_zero(attention: LinearAttention) -> None:
    nn.init.constant_(next(attention.qkv.parameters()), -1.0)
    assert not attention(torch.ones(1, CHANNELS, 2, 2, dtype=torch.float64)).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sums_over_many_pixels_do_not_overflow_in_half_precision(
    attention: LinearAttention, dtype: torch.dtype
) -> None:
    nn.init.constant_(next(attention.qkv.parameters()), 16.0)
    found = attention.to(dtype)(torch.ones(1, CHANNELS, 8, 8, dtype=dtype))
    assert found.dtype == dtype
    # All values are 64 and, aggregated, 128; sums of key times query times value are far above 65504.
    assert found.unique().tolist() == [64.0, 128.0]


def test_autocast_leaves_the_sums_in_float32(attention: LinearAttention) -> None:
    features = torch.randn(1, CHANNELS, 8, 8)
    attention.float()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention(features)
        rounded = attention.qkv(features)
    assert rounded.dtype == found.dtype == torch.bfloat16
    again = torch.cat([rounded, attention.aggreg[0](rounded.float())], dim=1).float()
    exact = attention._attend(*again.reshape(1, 4, 6, 64).split(2, dim=2)).reshape(1, 8, 8, 8)
    assert torch.equal(found, exact.to(torch.bfloat16))


def test_the_encoder_has_the_authors_attention_and_takes_any_size() -> None:
    encoder = build_encoder("efficientvit_b0")
    assert isinstance(encoder, EfficientViT)
    assert (encoder.strides, encoder.channels, encoder.multiple) == ((4, 8, 16, 32), (16, 32, 64, 128), 1)
    assert sum(isinstance(module, LinearAttention) for module in encoder.modules()) == 4
