"""EfficientViT, the encoder of MIT's Han Lab: convolutions, and attention without softmax in the coarser stages.

Cai et al., ICCV 2023, arXiv:2205.14756. The network is timm's, whose weights fit; its attention is replaced by one that
computes what the authors' own does (mit-han-lab/efficientvit@de7d773, Apache-2.0). timm's adds 1e-5 to the
denominators instead of 1e-15, which is not negligible where few keys answer a query, and computes in float32 even if
the network is in float64.

Deviation: where a map has no more pixels than a head has channels, the original multiplies in another order, which
gives the same values.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.building import expect_output_stride, register_encoder
from pixelwise.backbones.timm import TimmEncoder
from pixelwise.layers.precision import at_least_float32, without_autocast

EPS = 1e-15
"""Keeps pixels whose query no key answers at 0."""
NAMES = tuple(f"efficientvit_{size}" for size in ("b0", "b1", "b2", "b3", "l1", "l2", "l3"))


class LinearAttention(nn.Module):
    """Attention whose kernel is a ReLU, at two scales; its cost is linear in the number of pixels.

    The second scale's queries, keys and values are those of the first, aggregated over 5x5 pixels. Sums over all pixels
    exceed the range of float16 and the precision of bfloat16, so they are taken in float32 at least.

    Args:
        original: timm's attention, whose layers are taken over under their names.
    """

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.head_channels: int = original.dim
        self.qkv: nn.Module = original.qkv
        self.aggreg: nn.ModuleList = original.aggreg
        self.proj: nn.Module = original.proj

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float to the same shape and type."""
        batch, _, height, width = features.shape
        one_scale = self.qkv(features)
        scales = torch.cat([one_scale, *(aggregate(one_scale) for aggregate in self.aggreg)], dim=1)
        wide = at_least_float32(scales)
        heads = wide.reshape(batch, -1, 3 * self.head_channels, height * width)
        with without_autocast(wide):
            attended = self._attend(*heads.split(self.head_channels, dim=2))
        return self.proj(attended.reshape(batch, -1, height, width).to(scales.dtype))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Three (B, heads, head channels, pixels) to one."""
        # A row of ones adds up the weights.
        sums = F.pad(value, (0, 0, 0, 1), value=1.0) @ F.relu(key).transpose(-1, -2)
        weighted = sums @ F.relu(query)
        return weighted[:, :, :-1] / (weighted[:, :, -1:] + EPS)


class EfficientViT(TimmEncoder):
    """timm's network with the authors' attention; feature maps of strides 4 to 32."""

    def __init__(self, name: str, output_stride: int | None = None, in_channels: int = 3) -> None:
        super().__init__(name, output_stride, in_channels)
        from timm.models.efficientvit_mit import LiteMLA

        for module in list(self.network.modules()):
            for key, child in module.named_children():
                if isinstance(child, LiteMLA):
                    setattr(module, key, LinearAttention(child))


@register_encoder(*NAMES)
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> EfficientViT:
    """Build an EfficientViT; the only output stride is 32, and all feature maps are returned."""
    expect_output_stride(name, output_stride, 32)
    return EfficientViT(name, output_stride, in_channels)
