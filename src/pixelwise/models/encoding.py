"""What all networks with a head on an encoder's features need: any image size, auxiliary heads, errors."""

from __future__ import annotations

from torch import Tensor, nn

from pixelwise.backbones.building import Encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.heads import ConvolutionalHead
from pixelwise.layers.padding import pad_to, round_up


def auxiliary_head(
    encoder: Encoder, feature: int, channels: int | None, num_classes: int, dropout: nn.Module
) -> ConvolutionalHead | None:
    """A head of one convolution on a feature map before the coarsest, for training.

    Args:
        encoder: Gives the features.
        feature: Which of them, counted as in a list.
        channels: Of the convolution; None: no head.
        num_classes: Number of outputs.
        dropout: Before the classifier.

    Returns:
        The head; None: `channels` is None.

    Raises:
        RecipeError: R203, the encoder has no such feature map.
    """
    if channels is None:
        return None
    count = len(encoder.channels)
    if not -count <= feature < count:
        raise RecipeError(
            "R203",
            f"the auxiliary head reads feature map {feature} of '{encoder.name}', which has {count}",
            "leave model.auxiliary_channels out, or choose an encoder with more feature maps",
        )
    return ConvolutionalHead(encoder.channels[feature], channels, 1, num_classes, dropout)


def index_of_stride(encoder: Encoder, stride: int, family: str) -> int:
    """Which feature map is the first of that stride.

    Args:
        encoder: Gives the features.
        stride: The stride looked for.
        family: Of the network that needs it, for the error.

    Returns:
        Its index.

    Raises:
        RecipeError: R207, the encoder has none.
    """
    if stride in encoder.strides:
        return encoder.strides.index(stride)
    strides = ", ".join(str(stride) for stride in encoder.strides)
    raise RecipeError(
        "R207",
        f"{family} needs feature maps of stride {stride}; those of '{encoder.name}' have strides {strides}",
        "choose an encoder that has them, for example resnet18, or a family that reads the coarsest only, such as fcn",
    )


def encode(encoder: Encoder, images: Tensor) -> list[Tensor]:
    """The encoder's feature maps of images of any size; padded, as `pad_to` does, where the encoder needs it.

    Args:
        encoder: The encoder.
        images: (B, 3, H, W) float, any H and W from 1 on.

    Returns:
        One (B, C, h, w) per stride s, h >= ceil(H / s), w >= ceil(W / s).
    """
    height, width = images.shape[-2:]
    return encoder(pad_to(images, round_up(height, encoder.multiple), round_up(width, encoder.multiple)))


def crop_to_image(logits: Tensor, images: Tensor, stride: int) -> Tensor:
    """The logits that cover the images, without those of `encode`'s padding.

    Args:
        logits: (B, K, h, w).
        images: (B, 3, H, W).
        stride: Of the logits.

    Returns:
        (B, K, ceil(H / stride), ceil(W / stride)).
    """
    height, width = images.shape[-2:]
    return logits[..., : -(-height // stride), : -(-width // stride)]
