"""Attention with several heads, whose queries, keys and values may come from different maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, arXiv:1706.03762).

    Initial weights: Xavier's, as if queries, keys and values were projected by one matrix; biases are 0.

    Args:
        channels: Input and output channels.
        heads: Number of heads, a divisor of `channels`.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        for layer in (self.qkv, self.proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor | None = None) -> Tensor:
        """Attend from queries to keys.

        Args:
            queries: (B, Q, C).
            keys: (B, N, C).
            values: (B, N, C).
            seen: What each query sees, bool (B, Q, N), at least one key for every query; None: everything.

        Returns:
            (B, Q, C).
        """
        weights, biases = self.qkv.weight.chunk(3), self.qkv.bias.chunk(3)
        parts = [
            F.linear(features, weight, bias).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for features, weight, bias in zip((queries, keys, values), weights, biases, strict=True)
        ]
        mask = None if seen is None else seen[:, None]
        joined = F.scaled_dot_product_attention(*parts, attn_mask=mask).transpose(1, 2)
        if torch.compiler.is_exporting():
            # The exporters' attention lays out its result differently from the one that is traced.
            joined = joined.clone(memory_format=torch.contiguous_format)
        return self.proj(joined.flatten(2))
