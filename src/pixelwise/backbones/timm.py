"""Encoders from any timm model that provides feature maps, with random weights; nothing is downloaded."""

from __future__ import annotations

import contextlib
import importlib
import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import register_encoders
from pixelwise.errors import RecipeError
from pixelwise.layers.sizes import ceil_divide, longer
from pixelwise.suggestions import did_you_mean

Size = tuple[int, int]

REFUSALS = (AssertionError, AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""Exceptions that timm's constructors raise for options that they do not support."""


class TimmEncoder(Encoder):
    """Encoder that returns the feature maps of a timm model.

    Window transformers (Swin and others) that timm builds for one image size by default, but can build for any,
    are built for any size; their weights are the same.

    Args:
        name: timm's name of the model.
        output_stride: Stride of the coarsest feature maps; further strides become dilations. None: the network's
            default.
        in_channels: Number of bands of the input images.
        **options: Further arguments of the network's constructor, such as `act_layer`.

    Attributes:
        name: timm's name of the model.
        in_channels: Number of bands of the input images.
        channels: Channels of each feature map, from fine to coarse.
        strides: Stride of each feature map: increasing powers of two (the last ones repeat a given `output_stride`).
        multiple: Number that input heights and widths have to be multiples of; 1 if any size is accepted. Only with
            1 does a feature map of stride s have exactly ceil(H / s) x ceil(W / s) pixels.

    Raises:
        RecipeError: R207, timm has no such model, or the model does not provide feature maps that a decoder can
            use: (B, C, H, W) at increasing strides, for any image size.
    """

    def __init__(self, name: str, output_stride: int | None = None, in_channels: int = 3, **options: Any) -> None:
        super().__init__()
        # Imported here, because importing timm takes longer than building a small network.
        import timm

        if not is_model(name):
            raise RecipeError(
                "R207",
                f"timm {timm.__version__} has no model named '{name}'{did_you_mean(name, models())}",
                "`timm.list_models()` lists its models; resnet18 and mobilenetv3_large_100 are good small ones",
            )
        if output_stride is not None:
            options["output_stride"] = output_stride
        options |= other_channels(in_channels)
        try:
            network = _create(name, options)
        except REFUSALS as error:
            if output_stride is not None and "output_stride" in str(error):
                raise _cannot_dilate(name, output_stride, "timm does not implement dilation for it") from error
            raise unusable(name, f"timm cannot extract feature maps from it ({error})") from error
        self.name = self.timm_name = name
        self.in_channels = in_channels
        self.network: nn.Module = network
        self.channels_last: bool = getattr(network, "output_fmt", "NCHW") == "NHWC"
        info = cast("timm.models.FeatureInfo", network.feature_info)
        self.channels: tuple[int, ...] = tuple(cast("list[int]", info.channels()))
        self.strides: tuple[int, ...] = tuple(cast("list[int]", info.reduction()))
        if not _grow_as_powers_of_two(self.strides, dilated=output_stride is not None):
            strides = ", ".join(str(stride) for stride in self.strides)
            raise unusable(name, f"its feature maps have strides {strides}; expected increasing powers of two")
        if output_stride is not None and self.strides[-1] != output_stride:
            raise _cannot_dilate(name, output_stride, f"its coarsest feature maps have stride {self.strides[-1]}")
        multiple = self._probe()
        if isinstance(multiple, str):
            # Only on the second try: few constructors have this option, and none tells in advance.
            try:
                self.network = _create(name, {**options, "strict_img_size": False})
            except REFUSALS:
                raise unusable(name, multiple) from None
            multiple = self._probe()
        if isinstance(multiple, str):
            raise unusable(name, multiple)
        self.multiple: int = multiple

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), sizes multiples of `multiple`, to one (B, C, H/stride, W/stride) per stride."""
        features = self.network(images)
        return [feature.permute(0, 3, 1, 2) for feature in features] if self.channels_last else features

    def _probe(self) -> int | str:
        """Run the network to find out which sizes it accepts, which timm does not tell: `multiple`, or the problem."""
        coarsest = self.strides[-1]
        training = self.training
        self.eval()
        try:
            # An encoder that rounds up at every stride accepts all sizes, down to one pixel.
            if all(self._complaint(size) is None for size in ((1, 1), (coarsest + 1, 2 * coarsest - 1))):
                return 1
            return self._complaint((2 * coarsest, 3 * coarsest)) or coarsest
        finally:
            self.train(training)

    def _complaint(self, size: Size) -> str | None:
        """The problem with the feature maps of an image of `size`; None if there is none."""
        height, width = size
        try:
            with torch.no_grad():
                features = self(torch.zeros(1, self.in_channels, height, width))
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            return wrong_size(self.name, size, error)
        for feature, channels, stride in zip(features, self.channels, self.strides, strict=True):
            expected = (1, channels, -(-height // stride), -(-width // stride))
            if tuple(feature.shape) != expected:
                return (
                    f"its feature map of stride {stride} for an image of {height}x{width} (HxW) has shape "
                    f"{tuple(feature.shape)}; expected {expected}"
                )
        return None


@contextlib.contextmanager
def short_paddings() -> Iterator[None]:
    """Context of an export for any size, in which timm's "SAME" paddings are short expressions of the size.

    timm computes them with `max` and the ceiling of a real quotient. Every layer nests them once more, and PyTorch
    would simplify the nested expressions of an EfficientNet for minutes.
    """
    padding: Any = importlib.import_module("timm.layers.padding")
    before = padding.get_same_padding
    padding.get_same_padding = same_padding  # timm's convolutions and poolings look it up with every call
    try:
        yield
    finally:
        padding.get_same_padding = before


def same_padding(length: int, kernel_size: int, stride: int, dilation: int) -> int:
    """Rows or columns to add, so that a convolution of these settings returns `length / stride`, rounded up.

    Args:
        length: Height or width; in an export it may be a symbol.
        kernel_size: Side of the kernel.
        stride: Stride of the convolution.
        dilation: Dilation of the kernel.
    """
    reach = (kernel_size - 1) * dilation + 1
    missing = (ceil_divide(length, stride) - 1) * stride + reach - length
    return missing if reach >= stride else longer(missing, 0)


def other_channels(in_channels: int) -> dict[str, Any]:
    """The option of timm's constructors for the number of input channels; empty for three.

    Some constructors do not have the option, and they stay usable for RGB.
    """
    return {} if in_channels == 3 else {"in_chans": in_channels}


def is_model(name: str) -> bool:
    """Whether timm has a model of that name."""
    import timm

    return timm.is_model(name)


def models() -> list[str]:
    """Names of timm's models."""
    import timm

    return timm.list_models()


@cache
def has_one_stride(name: str) -> bool:
    """Whether all feature maps of a timm model have the same stride; False for a model without feature maps."""
    import timm

    try:
        with torch.device("meta"):
            network = timm.create_model(name, pretrained=False, features_only=True)
    except REFUSALS:
        return False
    strides = cast("list[int]", cast("timm.models.FeatureInfo", network.feature_info).reduction())
    return len(strides) > 1 and len(set(strides)) == 1


def _create(name: str, options: dict[str, Any]) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, features_only=True, **options)


def _grow_as_powers_of_two(strides: tuple[int, ...], *, dilated: bool) -> bool:
    powers = all(stride & (stride - 1) == 0 for stride in strides)
    return powers and all(fine < coarse or (dilated and fine == coarse) for fine, coarse in itertools.pairwise(strides))


def _cannot_dilate(name: str, output_stride: int, reason: str) -> RecipeError:
    return RecipeError(
        "R207",
        f"the timm model '{name}' cannot have output stride {output_stride}: {reason}",
        "leave model.output_stride out, or choose a ResNet, MobileNet or EfficientNet",
    )


def wrong_size(name: str, size: Size, error: Exception) -> str:
    """The reason why a model that fails on images of some size cannot be an encoder.

    Args:
        name: timm's name of the model.
        size: (height, width) of the images.
        error: Exception that the model raised; often it only tells that two shapes inside the network do not match.

    Returns:
        Part of a sentence about the model, for `unusable`.
    """
    import timm

    cfg = timm.get_pretrained_cfg(name)
    made_for = "{1}x{2}".format(*cfg.input_size) if cfg is not None and cfg.input_size else "one size"
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return (
        f"it does not accept images of any size; it failed with {size[0]}x{size[1]} (HxW), as its layers are made for "
        f"images of {made_for} ({reason})"
    )


def unusable(name: str, reason: str) -> RecipeError:
    """The error for a timm model that cannot be an encoder."""
    return RecipeError(
        "R207",
        f"the timm model '{name}' cannot be an encoder: {reason}",
        "choose a model that accepts images of any size and provides feature maps: a convolutional network such as "
        "resnet18, a plain transformer such as vit_small_patch16_dinov3, or mit_b0",
    )


@register_encoders("timm", matches=lambda name: is_model(name) and not has_one_stride(name), names=models)
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> TimmEncoder:
    """Build a timm model; all its feature maps are returned."""
    return TimmEncoder(name, output_stride, in_channels)
