"""Helpers of networks that put heads on an encoder: padding and cropping, auxiliary heads, checks of the spec."""

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
"""Index of the feature map that the auxiliary heads of FCN and PSPNet read, the second coarsest."""


def auxiliary_head(
    encoder: Encoder, feature: int, channels: int | None, num_classes: int, dropout: nn.Module
) -> ConvolutionalHead | None:
    """A head with one 3x3 convolution on an intermediate feature map, for training.

    Args:
        encoder: Encoder whose features the head reads.
        feature: List index of the feature map; -1 is the coarsest.
        channels: Output channels of the 3x3 convolution; None: no head.
        num_classes: Number of outputs of the classifier.
        dropout: Dropout before the classifier.

    Returns:
        The head, or None if `channels` is None.

    Raises:
        RecipeError: R203, the encoder has no such feature map.
    """
    if channels is None:
        return None
    count = len(encoder.channels)
    if not -count <= feature < count:
        raise RecipeError(
            "R203",
            f"the auxiliary head reads feature map {feature}, but '{encoder.name}' has {count} feature maps",
            "leave model.auxiliary_channels out, or choose an encoder with more feature maps",
        )
    return ConvolutionalHead(encoder.channels[feature], channels, 1, num_classes, dropout)


def maps_read(auxiliary_channels: int | None, feature: int) -> int | None:
    """The number of feature maps, counted from the coarsest, that a main and an auxiliary head need.

    Args:
        auxiliary_channels: Channels of the auxiliary head; None: there is no auxiliary head.
        feature: List index of the feature map that the auxiliary head reads.

    Returns:
        The number; None if `feature` counts from the finest map, so that it depends on the encoder.
    """
    if auxiliary_channels is None:
        return 1
    return -feature if feature < 0 else None


def index_of_stride(encoder: Encoder, stride: int, family: str) -> int:
    """The index of the encoder's first feature map of the given stride.

    Args:
        encoder: Encoder whose feature maps are searched.
        stride: Required stride of the feature map.
        family: Model family that needs the feature map, named in the error.

    Raises:
        RecipeError: R207, the encoder has no feature map of that stride.
    """
    if stride in encoder.strides:
        return encoder.strides.index(stride)
    strides = ", ".join(str(stride) for stride in encoder.strides)
    raise RecipeError(
        "R207",
        f"{family} needs a feature map of stride {stride}; those of '{encoder.name}' have strides {strides}",
        "choose an encoder that has one, for example resnet18, or a family that reads only the coarsest map, for "
        "example fcn",
    )


def expect_positive(field: str, numbers: tuple[int, ...], published: str) -> None:
    """Check that all values of a recipe's field are 1 or more.

    Args:
        field: Name of the field under `model` in the recipe.
        numbers: Values of the field.
        published: Hint of the error: the published values.

    Raises:
        RecipeError: R203, a value is below 1.
    """
    if any(number < 1 for number in numbers):
        raise RecipeError("R203", f"model.{field} is {list(numbers)}; expected values of 1 or more", published)


def expect_room_for_image(in_channels: int, stem_channels: int) -> None:
    """Check that a stem which concatenates the pooled image and a convolution has channels left for the convolution.

    Args:
        in_channels: Number of bands of the input images.
        stem_channels: Output channels of the stem.

    Raises:
        RecipeError: R203, the image fills all channels of the stem.
    """
    if in_channels >= stem_channels:
        raise RecipeError(
            "R203",
            f"the first block of the network has {stem_channels} channels, which include those of the image; the image "
            f"has {in_channels}",
            f"name at most {stem_channels - 1} bands in data.channels, or choose another network such as unet-resnet18",
        )


def encode(encoder: Encoder, images: Tensor) -> list[Tensor]:
    """Encode images of any size, padded by `pad_to_multiple` where the encoder needs multiples.

    Args:
        encoder: Encoder that computes the feature maps.
        images: (B, C, H, W) float, H and W 1 or more.

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
    """The logits of a head on the coarsest feature map, and of an auxiliary head on another one.

    Args:
        encoder: Encoder whose features the heads read.
        images: (B, C, H, W) float, H and W 1 or more.
        head: Maps the coarsest features to logits of the same size.
        auxiliary: Maps the features of another stride to logits of the same size; None: no auxiliary logits.
        feature: List index of the feature map that the auxiliary head reads.

    Returns:
        (B, K, ceil(H / s), ceil(W / s)) per head, where s is the stride of its features.
    """
    features = encode(encoder, images)
    logits = crop_to_image(head(features[-1]), images, encoder.strides[-1])
    if auxiliary is None:
        return (logits,)
    return logits, crop_to_image(auxiliary(features[feature]), images, encoder.strides[feature])


def size_at(images: Tensor, stride: int) -> Size:
    """(ceil(H / stride), ceil(W / stride)) for a tensor (B, C, H, W)."""
    height, width = images.shape[-2:]
    return ceil_divide(height, stride), ceil_divide(width, stride)


def crop_to_image(logits: Tensor, images: Tensor, stride: int) -> Tensor:
    """Crop logits to the extent of the images, without the padding that `encode` adds.

    Args:
        logits: (B, K, h, w).
        images: (B, C, H, W), before padding.
        stride: Stride of the logits.

    Returns:
        (B, K, ceil(H / stride), ceil(W / stride)).
    """
    rows, columns = size_at(images, stride)
    return logits[..., :rows, :columns]


def scales_finer_than(stride: int, encoder: Encoder, network: str, example: str) -> int:
    """The number of an encoder's feature maps that are too fine for a head that joins all others.

    Args:
        stride: Least stride of the maps that are joined.
        encoder: The encoder.
        network: Name of the network, for the error.
        example: Name of an encoder that fits, for the error.

    Raises:
        RecipeError: R207, fewer than two maps are left.
    """
    finer = sum(one < stride for one in encoder.strides)
    left = len(encoder.strides) - finer
    if left < 2:
        raise RecipeError(
            "R207",
            f"'{encoder.name}' has {left} feature map(s) of stride {stride} or more; {network} needs at least two",
            f"choose an encoder with several scales, for example {example} or resnet18",
        )
    return finer
