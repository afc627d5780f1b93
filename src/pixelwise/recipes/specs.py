"""What a network is: one frozen struct per model family, no torch.

The struct's type selects the builder in `pixelwise.models`; its tag (`family`) is what TOML says.
"""

from __future__ import annotations

from typing import Literal

import msgspec

RGB = tuple[float, float, float]
IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a uint8 RGB image becomes the network's input: `(image / 255 - mean) / std`.

    Attributes:
        mean: Per channel, of RGB in 0..1.
        std: Per channel, of RGB in 0..1.
    """

    mean: RGB = (0.0, 0.0, 0.0)
    std: RGB = (1.0, 1.0, 1.0)


IMAGENET = Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)


class ENetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="family", tag="enet"):
    """ENet (Paszke et al. 2016, arXiv:1606.02147) in one of the two graphs of PyTorch-ENet.

    Attributes:
        graph: `overlapping` is the graph of the published results (2019-08): 3x3 pooling windows
            that overlap, 3x3 transposed convolutions, inputs padded to multiples of 8. `any-size`
            is the later one (2021): 2x2 pooling, 2x2 transposed convolutions, any input size.
        preprocessing: The published networks see RGB in 0..1, not normalised.
    """

    graph: Literal["overlapping", "any-size"] = "any-size"
    preprocessing: Preprocessing = Preprocessing()


class UNetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="family", tag="unet"):
    """U-Net decoder (Ronneberger et al. 2015, arXiv:1505.04597) over a timm encoder.

    Attributes:
        encoder: Name of a timm model that gives feature maps.
        decoder_channels: Output channels of the decoder blocks, from the deepest up. Each block
            doubles the resolution and joins the encoder's features of that stride, so the number
            of blocks decides the stride of the logits: 5 over a ResNet end at stride 1, 4 at 2.
        preprocessing: timm's ImageNet statistics.
    """

    encoder: str = "resnet18"
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32)
    preprocessing: Preprocessing = IMAGENET


ModelSpec = ENetSpec | UNetSpec
