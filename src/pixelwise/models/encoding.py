"""What all networks with a head on an encoder's features need: any image size, auxiliary heads, errors."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.heads import ConvolutionalHead
from pixelwise.layers.padding import pad_to_multiple
from pixelwise.layers.sizes import ceil_divide

Size = tuple[int, int]

AUXILIARY_FEATURE = -2
"""Which feature map the auxiliary heads of FCN and PSPNet read: the one before the coarsest."""


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


def maps_read(auxiliary_channels: int | None, feature: int) -> int | None:
    """How many feature maps a head on the coarsest one and an auxiliary head read, counted from the coarsest.

    Args:
        auxiliary_channels: Of the auxiliary head; None: there is none.
        feature: The feature map that it reads, counted as in a list.

    Returns:
        Their number; None: that depends on how many there are.
    """
    if auxiliary_channels is None:
        return 1
    return -feature if feature < 0 else None


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


def expect_positive(field: str, numbers: tuple[int, ...], published: str) -> None:
    """Refuse numbers of a recipe that are not 1 or more.

    Args:
        field: Of the model in the recipe.
        numbers: What it has.
        published: What to write instead, for the error.

    Raises:
        RecipeError: R203, one of them is below 1.
    """
    if any(number < 1 for number in numbers):
        raise RecipeError("R203", f"model.{field} is {list(numbers)}; expected 1 or more each", published)


def expect_room_for_image(in_channels: int, stem_channels: int) -> None:
    """Refuse images that fill a stem which joins them, pooled, to what it convolves.

    Args:
        in_channels: Of the images.
        stem_channels: Of what the stem gives.

    Raises:
        RecipeError: R203, nothing would be convolved.
    """
    if in_channels >= stem_channels:
        raise RecipeError(
            "R203",
            f"the network's first block has {stem_channels} channels, those of the image among them; the image has "
            f"{in_channels}",
            f"name at most {stem_channels - 1} bands in data.channels, or choose another network such as unet-resnet18",
        )


def encode(encoder: Encoder, images: Tensor) -> list[Tensor]:
    """The encoder's feature maps of images of any size; padded, as `pad_to_multiple` does, if it needs that.

    Args:
        encoder: The encoder.
        images: (B, C, H, W) float, any H and W from 1 on.

    Returns:
        One (B, C, h, w) per stride s, h >= ceil(H / s), w >= ceil(W / s).
    """
    return encoder(pad_to_multiple(images, encoder.multiple))


def head_and_auxiliary(
    encoder: Encoder,
    images: Tensor,
    head: Callable[[Tensor], Tensor],
    auxiliary: nn.Module | None,
    feature: int = AUXILIARY_FEATURE,
) -> tuple[Tensor, ...]:
    """The logits of a head on the coarsest features, and of an auxiliary head on others if there is one.

    Args:
        encoder: The encoder.
        images: (B, C, H, W) float, any H and W from 1 on.
        head: Coarsest features to logits of their size.
        auxiliary: Another feature map to logits of its size; None: not wanted.
        feature: Which one.

    Returns:
        (B, K, ceil(H / s), ceil(W / s)) per head, s being the stride of its features.
    """
    features = encode(encoder, images)
    logits = crop_to_image(head(features[-1]), images, encoder.strides[-1])
    if auxiliary is None:
        return (logits,)
    return logits, crop_to_image(auxiliary(features[feature]), images, encoder.strides[feature])


def size_at(images: Tensor, stride: int) -> Size:
    """(ceil(H / stride), ceil(W / stride)) of maps (B, C, H, W)."""
    height, width = images.shape[-2:]
    return ceil_divide(height, stride), ceil_divide(width, stride)


def crop_to_image(logits: Tensor, images: Tensor, stride: int) -> Tensor:
    """The logits that cover the images, without those of `encode`'s padding.

    Args:
        logits: (B, K, h, w).
        images: (B, C, H, W).
        stride: Of the logits.

    Returns:
        (B, K, ceil(H / stride), ceil(W / stride)).
    """
    rows, columns = size_at(images, stride)
    return logits[..., :rows, :columns]
