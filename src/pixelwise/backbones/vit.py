"""Encoders from timm's plain vision transformers, with a feature pyramid built from their single scale.

A plain transformer (ViT, DeiT, DINOv2, DINOv3, EVA-02, ...) keeps one stride from its patches to its last
block. The other scales are computed from the map of the last block, including its final normalisation, by
the simple feature pyramid of ViTDet (Li et al., ECCV 2022, arXiv:2203.16527): each doubling of the resolution
is a 2x2 transposed convolution that halves the channels, with normalisation and GELU between two of them;
the transformer's own scale is passed through; each halving is a 2x2 max pooling. Deviation: the 1x1 and
3x3 convolutions after it, which bring all scales to 256 channels, are left to the decoder.

Patches of 14 pixels would lead to strides that are not powers of two. For them, the image is resized by 14/16
(bilinearly, input sizes being multiples of 16), so that one patch covers exactly 16x16 pixels of the image;
likewise, any other patch size becomes a stride of the nearest power of two.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import register_encoders
from pixelwise.backbones.timm import REFUSALS, has_one_stride, is_model, other_channels, unusable, wrong_size
from pixelwise.errors import RecipeError

STRIDES = (4, 8, 16, 32)

_OPTIONS: tuple[dict[str, Any], ...] = tuple(
    {**size, **pooling}
    for size, pooling in itertools.product(({"dynamic_img_size": True}, {}), ({"global_pool": ""}, {}))
)
"""Options of timm's constructors, of which the first set that works is used: position embeddings that follow the
image size, where that is an option, and no pooling, which would move the final normalisation behind it."""


class ViTEncoder(Encoder):
    """A plain timm transformer and a simple feature pyramid, with random weights; nothing is downloaded.

    Args:
        name: timm's name of the model.
        output_stride: Stride of the coarsest feature map, one of 4, 8, 16, 32; None: 32, or the stride of the
            patches if only one map is needed.
        maps: Number of feature maps, counted from the coarsest; None: all from stride 4 on.
        in_channels: Number of bands of the input images.
        **options: Further arguments of the network's constructor, such as `patch_size`.

    Attributes:
        name: timm's name of the model.
        in_channels: Number of bands of the input images.
        untrained: Prefix of the state-dict keys of the pyramid, for which there are no pretrained weights; empty if it
            has no layers.
        channels: Channels of each feature map, from fine to coarse: the transformer's width at its own stride and
            coarser, halved at each doubling of the resolution.
        strides: Stride of each feature map, increasing powers of two.
        multiple: Stride of the patches, which has to divide input heights and widths.

    Raises:
        RecipeError: R207, the transformer accepts images of one size only, does not provide its last map,
            or does not support the output stride.
    """

    untrained: tuple[str, ...] = ("enlarging.",)

    def __init__(
        self,
        name: str,
        output_stride: int | None = None,
        maps: int | None = None,
        in_channels: int = 3,
        **options: Any,
    ) -> None:
        super().__init__()
        self.name = self.timm_name = name
        self.in_channels = in_channels
        self.network: Any = _create(name, in_channels, options)
        self.patch = int(self.network.feature_info[-1]["reduction"])
        self.multiple: int = 2 ** round(math.log2(self.patch))
        if output_stride is None:
            output_stride = self.multiple if maps == 1 else STRIDES[-1]
        if output_stride not in STRIDES:
            raise RecipeError(
                "R207",
                f"the timm model '{name}' cannot have output stride {output_stride}; expected one of {STRIDES}",
                "leave model.output_stride out",
            )
        strides = tuple(stride for stride in STRIDES if stride <= output_stride)
        self.strides: tuple[int, ...] = strides if maps is None else strides[-maps:]
        width = self._probe()
        doublings = [max(0, (self.multiple // stride).bit_length() - 1) for stride in self.strides]
        if width % 2 ** max(doublings):
            raise unusable(name, f"its {width} channels cannot be halved {max(doublings)} times")
        self.channels: tuple[int, ...] = tuple(width >> halvings for halvings in doublings)
        self.enlarging = nn.ModuleList(_enlarging(width, steps) for steps in doublings)
        if not any(doublings):
            self.untrained = ()

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), sizes multiples of `multiple`, to (B, C, ceil(H / s), ceil(W / s)) per stride s."""
        own = self._last_map(images)
        maps: list[Tensor] = []
        for enlarge, stride in zip(self.enlarging, self.strides, strict=True):
            scale = enlarge(own)
            for _ in range((stride // self.multiple).bit_length() - 1):
                scale = F.max_pool2d(scale, kernel_size=2, stride=2, ceil_mode=True)
            maps.append(scale)
        return maps

    def _last_map(self, images: Tensor) -> Tensor:
        """(B, C, H / multiple, W / multiple): the normalised patch features of the last block."""
        return self.network.forward_intermediates(
            self._in_patches(images), indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )[-1]

    def _in_patches(self, images: Tensor) -> Tensor:
        """Images whose sides are multiples of `multiple`, resized so that this many pixels become one patch."""
        if self.patch == self.multiple:
            return images
        height, width = (length // self.multiple * self.patch for length in images.shape[-2:])
        return F.interpolate(images, size=(height, width), mode="bilinear", align_corners=False)

    def _probe(self) -> int:
        """Channels of the last map, found by running the transformer, which also checks that it accepts any size."""
        training = self.training
        self.eval()
        width = 0
        size = (0, 0)
        try:
            for rows, columns in ((1, 2), (3, 1)):
                size = rows * self.multiple, columns * self.multiple
                with torch.no_grad():
                    last = self._last_map(torch.zeros(1, self.in_channels, *size))
                width = last.shape[1]
                if tuple(last.shape) != (1, width, rows, columns):
                    raise unusable(
                        self.name,
                        f"its last feature map for an image of {size[0]}x{size[1]} (HxW) has shape "
                        f"{tuple(last.shape)}; expected {(1, width, rows, columns)}",
                    )
        except (*REFUSALS, IndexError) as error:
            raise unusable(self.name, wrong_size(self.name, size, error)) from error
        finally:
            self.train(training)
        return width


def pretrained_state(tag: str) -> dict[str, Tensor]:
    """Pretrained weights of a plain transformer, classifier included, under the keys of `ViTEncoder.network`.

    timm loads them into the network that they were published for, without any options of this encoder, because only
    then does it require every weight.

    Args:
        tag: timm's name of the model, with or without the name of its weights.

    Returns:
        The state dict.
    """
    import timm

    state = timm.create_model(tag, pretrained=True).state_dict()
    if "norm.weight" in state:
        return state
    # A transformer that classifies the mean of its patches normalises that mean, not the patches.
    return {re.sub(r"^fc_norm\.", "norm.", key): value for key, value in state.items()}


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of a map."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _create(name: str, in_channels: int, given: dict[str, Any]) -> nn.Module:
    import timm

    refusal: Exception | None = None
    for options in _OPTIONS:
        try:
            network: Any = timm.create_model(
                name, pretrained=False, num_classes=0, **given, **options, **other_channels(in_channels)
            )
            # Everything after the last block, except its normalisation, serves classification only.
            network.prune_intermediate_layers(1, prune_norm=False, prune_head=True)
            return network
        except REFUSALS as error:
            refusal = error
    raise unusable(name, f"timm cannot build it without its classifier ({refusal})") from refusal


def _enlarging(width: int, doublings: int) -> nn.Sequential:
    """(B, width, h, w) to (B, width / 2^doublings, h * 2^doublings, w * 2^doublings)."""
    layers: list[nn.Module] = []
    for step in range(doublings):
        if step:
            layers += [ChannelNorm(width), nn.GELU()]
        layers.append(nn.ConvTranspose2d(width, width // 2, kernel_size=2, stride=2))
        width //= 2
    return nn.Sequential(*layers)


@register_encoders("timm's plain transformers", matches=lambda name: is_model(name) and has_one_stride(name))
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> ViTEncoder:
    """Build a plain timm transformer with a feature pyramid of the requested maps."""
    return ViTEncoder(name, output_stride, maps, in_channels)
