from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.layers.attention.multi_head import MultiHeadAttention


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_pytorchs(masked: bool) -> None:
    torch.manual_seed(0)
    mine, theirs = MultiHeadAttention(16, 4).double(), nn.MultiheadAttention(16, 4, batch_first=True).double()
    nn.init.normal_(mine.qkv.bias)
    nn.init.normal_(mine.proj.bias)
    names = {"in_proj_weight": mine.qkv.weight, "in_proj_bias": mine.qkv.bias}
    theirs.load_state_dict(names | {"out_proj.weight": mine.proj.weight, "out_proj.bias": mine.proj.bias})
    queries, keys, values = (torch.randn(2, count, 16, dtype=torch.float64) for count in (3, 5, 5))
    seen = torch.rand(2, 3, 5) > 0.5 if masked else None
    if seen is not None:
        seen[..., 0] = True
    hidden = None if seen is None else ~seen.repeat_interleave(4, 0)

    expected, _ = theirs(queries, keys, values, attn_mask=hidden)

    assert torch.allclose(mine(queries, keys, values, seen), expected, atol=1e-12)


def test_initial_projections_are_drawn_as_if_they_were_one() -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(64, 4)
    bound = (6 / (64 + 3 * 64)) ** 0.5
    assert 0.95 * bound < attention.qkv.weight.abs().max().item() <= bound
    assert not attention.qkv.bias.any()
    assert not attention.proj.bias.any()
