"""What a network is: one frozen struct per model family, no torch.

The struct's type selects the builder in `pixelwise.models`; its tag (`family`) is what TOML says.
Where `encoder` is a text it is the name of a timm model, or `mit_b0` .. `mit_b5`.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.augment import Augment
from pixelwise.recipes.schema.base import require
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.training import Sampling

RGB = tuple[float, float, float]
IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a uint8 image becomes the network's input: `(image / 255 - mean) / std`.

    Attributes:
        mean: Per channel, of values in 0..1: RGB, or the channels that `data.channels` names. As many
            numbers as the network has input channels.
        std: Likewise.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise RecipeError(
                "R203",
                f"model.preprocessing has {len(self.mean)} means and {len(self.std)} standard deviations",
                "give one of each per input channel, for example three for RGB",
            )

    @property
    def in_channels(self) -> int:
        """Number of input channels of the network."""
        return len(self.mean)


IMAGENET = Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)
EDGEAI = Preprocessing(mean=(128 / 255, 128 / 255, 128 / 255), std=(64 / 255, 64 / 255, 64 / 255))
"""(image - 128) / 64."""
MINUS_ONE_TO_ONE = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""image * 2 / 255 - 1."""
SWIFTNET = Preprocessing(mean=(73.15 / 255, 82.90 / 255, 72.3 / 255), std=(47.67 / 255, 48.49 / 255, 47.73 / 255))


class Described(Protocol):
    """The recipe that a network is part of, as far as the network's own rules look at it."""

    @property
    def data(self) -> Data:
        """Which images the network gets."""
        ...

    @property
    def augment(self) -> Augment:
        """What is done to them in training."""
        ...

    @property
    def sampling(self) -> Sampling:
        """How many of them it gets at a time."""
        ...


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="family"):
    """Base of the specs: immutable, unknown fields refused, told apart by `family`.

    Attributes:
        preprocessing: How a uint8 image becomes the network's input.
    """

    preprocessing: Preprocessing = IMAGENET

    def check(self, recipe: Described) -> None:
        """Refuse a recipe that a network of this family cannot be trained with; a family without rules takes any.

        Args:
            recipe: The whole recipe; called whenever one is made.

        Raises:
            RecipeError: R203, with the field and a way out.
        """


class ENetSpec(Spec, frozen=True, kw_only=True, tag="enet"):
    """ENet (Paszke et al. 2016, arXiv:1606.02147) in one of the two graphs of PyTorch-ENet.

    Attributes:
        graph: `overlapping` is the graph of the published results (2019-08): 3x3 pooling windows
            that overlap, 3x3 transposed convolutions, inputs padded to multiples of 8. `any-size`
            is the later one (2021): 2x2 pooling, 2x2 transposed convolutions, any input size.
        preprocessing: The published networks see RGB in 0..1, not normalised.
    """

    graph: Literal["overlapping", "any-size"] = "any-size"
    preprocessing: Preprocessing = Preprocessing()


class UNetSpec(Spec, frozen=True, kw_only=True, tag="unet"):
    """U-Net decoder (Ronneberger et al. 2015, arXiv:1505.04597) over any encoder.

    Attributes:
        encoder: Name of the encoder.
        decoder_channels: Output channels of the decoder blocks, from the deepest up. Each block
            doubles the resolution and joins the encoder's features of that stride, so the number
            of blocks decides the stride of the logits: 5 over a ResNet end at stride 1, 4 at 2.
    """

    encoder: str = "resnet18"
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32)

    def check(self, recipe: Described) -> None:
        """Refuse crops that are smaller than the stride of the deepest features."""
        crop = recipe.augment.crop
        require(
            crop is None or min(crop) >= 32,
            f"augment.crop is {list(crop or ())}; a U-Net's encoder needs at least 32 pixels",
            "make the crop larger",
        )


class FCNSpec(Spec, frozen=True, kw_only=True, tag="fcn"):
    """FCN head (Long et al. 2015, arXiv:1411.4038) on the coarsest features of a dilated encoder.

    Attributes:
        encoder: Name of the encoder.
        output_stride: Stride of its coarsest features; strides beyond become dilations. None: the encoder's own.
        convolutions: Number of 3x3 convolutions before the classifier.
        channels: Of these convolutions.
        auxiliary_channels: Of the auxiliary head's 3x3 convolution, on the features before the coarsest;
            None: no auxiliary head.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
    convolutions: int = 2
    channels: int = 512
    auxiliary_channels: int | None = None


class PSPNetSpec(Spec, frozen=True, kw_only=True, tag="pspnet"):
    """PSPNet (Zhao et al. 2017, arXiv:1612.01105): pyramid pooling on the coarsest features.

    Attributes:
        encoder: Name of the encoder.
        output_stride: As in `FCNSpec`.
        bins: Sides of the grids that the features are averaged to.
        channels: Of each pooled branch and of the convolution that joins them.
        auxiliary_channels: As in `FCNSpec`.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
    bins: tuple[int, ...] = (1, 2, 3, 6)
    channels: int = 512
    auxiliary_channels: int | None = None


class DeepLabV3Spec(Spec, frozen=True, kw_only=True, tag="deeplabv3"):
    """DeepLabV3 (Chen et al. 2017, arXiv:1706.05587) as torchvision builds it.

    Attributes:
        encoder: Name of the encoder; `mobilenet_v3_large_dilated` is torchvision's.
        output_stride: As in `FCNSpec`.
        rates: Dilations of the atrous 3x3 branches.
        channels: Of each branch and of the convolutions after them.
        auxiliary_channels: Of the auxiliary head's 3x3 convolution; None: no auxiliary head.
        auxiliary_feature: Which of the encoder's features the auxiliary head reads; -2: the one
            before the coarsest.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
    rates: tuple[int, ...] = (12, 24, 36)
    channels: int = 256
    auxiliary_channels: int | None = None
    auxiliary_feature: int = -2


class DeepLabV3PlusSpec(Spec, frozen=True, kw_only=True, tag="deeplabv3plus"):
    """DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611): ASPP, then a decoder at stride 4; any encoder.

    Attributes:
        encoder: Name of the encoder.
        output_stride: As in `FCNSpec`.
        rates: Dilations of the separable atrous branches.
        channels: Of each branch and of the decoder's convolutions.
        low_level_channels: To which the features of stride 4 are reduced.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None
    rates: tuple[int, ...] = (6, 12, 18)
    channels: int = 256
    low_level_channels: int = 48


class LRASPPSpec(Spec, frozen=True, kw_only=True, tag="lraspp"):
    """LR-ASPP (Howard et al. 2019, arXiv:1905.02244) as torchvision builds it.

    Attributes:
        encoder: Name of the encoder; `mobilenet_v3_large_dilated` is torchvision's.
        output_stride: As in `FCNSpec`.
        channels: Of the gated branch.
    """

    encoder: str = "mobilenet_v3_large_dilated"
    output_stride: Literal[8, 16, 32] | None = None
    channels: int = 128


class SegFormerSpec(Spec, frozen=True, kw_only=True, tag="segformer"):
    """SegFormer (Xie et al. 2021, arXiv:2105.15203): every scale projected, joined at stride 4.

    Attributes:
        encoder: `mit_b0` .. `mit_b5`, or any encoder with four scales.
        head: `mlp`: linear projections with bias, as published and in Hugging Face; `convolution`:
            1x1 convolutions with normalisation, as in mmsegmentation and United Perception.
        channels: Of the projections and of the convolution that joins them.
    """

    encoder: str = "mit_b0"
    head: Literal["mlp", "convolution"] = "mlp"
    channels: int = 256


class HRNetSpec(Spec, frozen=True, kw_only=True, tag="hrnet"):
    """HRNetV2 (Wang et al. 2019, arXiv:1908.07919) with its two-convolution head.

    Attributes:
        variant: Width and depth.
    """

    variant: Literal["w18", "w18-small-v1", "w18-small-v2", "w48"] = "w18"


class OCRNetSpec(Spec, frozen=True, kw_only=True, tag="ocrnet"):
    """HRNetV2 with object-contextual representations (Yuan et al. 2020, arXiv:1909.11065).

    Attributes:
        variant: Width and depth of the HRNet.
        channels: Of the pixel representations.
        key_channels: Of the attention's keys.
    """

    variant: Literal["w18", "w18-small-v1", "w18-small-v2", "w48"] = "w48"
    channels: int = 512
    key_channels: int = 256


LiteEncoder = Literal["mobilenetv2_100", "mobilenetv2_140", "regnetx_004", "regnetx_008", "regnetx_016", "regnetx_032"]
"""Encoders of TI's embedded networks by timm's names."""


class DeepLabV3LiteSpec(Spec, frozen=True, kw_only=True, tag="deeplabv3lite"):
    """TI's DeepLabV3Lite: output stride 16 without dilation, grouped ASPP, a shortcut at stride 4.

    Attributes:
        encoder: Its group size is used everywhere in the decoder.
        channels: Of the ASPP.
    """

    encoder: LiteEncoder = "mobilenetv2_100"
    channels: int = 256
    preprocessing: Preprocessing = EDGEAI


class UNetLiteSpec(Spec, frozen=True, kw_only=True, tag="unetlite"):
    """TI's UNetLite: grouped ASPP at stride 32, one grouped convolution per joined scale down to stride 2.

    Attributes:
        encoder: Its group size is used everywhere in the decoder.
        channels: Of the ASPP.
    """

    encoder: LiteEncoder = "mobilenetv2_100"
    channels: int = 256
    preprocessing: Preprocessing = EDGEAI


class FPNLiteSpec(Spec, frozen=True, kw_only=True, tag="fpnlite"):
    """TI's FPNLite: grouped ASPP at stride 32, a smoothing convolution inside the way up to stride 4.

    Attributes:
        encoder: Its group size is used everywhere in the decoder.
        channels: Of the ASPP and of every scale on the way up.
    """

    encoder: LiteEncoder = "mobilenetv2_100"
    channels: int = 256
    preprocessing: Preprocessing = EDGEAI


class TFDeepLabSpec(Spec, frozen=True, kw_only=True, tag="tf-deeplab"):
    """TensorFlow's DeepLab (tensorflow/models, research/deeplab), reconstructed.

    Attributes:
        encoder: The MobileNets have no atrous branches and no decoder; Xception65 has both.
        output_stride: As in `FCNSpec`; the atrous rates of Xception65 follow from it.
        train_normalization: Whether scale and shift of batch normalisation are trained. If not they are
            constants that come with the encoder's weights, and no parameters: so the published counts.
    """

    encoder: Literal["mobilenetv2_050", "mobilenetv2_100", "mobilenetv3_large_seg", "xception65"] = "mobilenetv2_100"
    output_stride: Literal[8, 16, 32] = 16
    train_normalization: bool = False
    preprocessing: Preprocessing = MINUS_ONE_TO_ONE


class ERFNetSpec(Spec, frozen=True, kw_only=True, tag="erfnet"):
    """ERFNet (Romera et al. 2018, doi:10.1109/TITS.2017.2750080).

    Attributes:
        part: `whole`, or the `encoder` with its own classifier, which is trained first.
        preprocessing: The published network sees RGB in 0..1, not normalised.
    """

    part: Literal["whole", "encoder"] = "whole"
    preprocessing: Preprocessing = Preprocessing()


class SwiftNetSpec(Spec, frozen=True, kw_only=True, tag="swiftnet"):
    """SwiftNet, single scale (Orsic et al. 2019, arXiv:1903.08469).

    Attributes:
        encoder: ResNet-18 is the published code, MobileNetV2 the published row.
    """

    encoder: Literal["resnet18", "mobilenetv2_100"] = "resnet18"
    preprocessing: Preprocessing = SWIFTNET


class FPNSpec(Spec, frozen=True, kw_only=True, tag="fpn"):
    """Semantic FPN (Kirillov et al. 2019, arXiv:1901.02446): a feature pyramid, summed at stride 4; any encoder.

    Attributes:
        encoder: Name of the encoder.
        channels: Of the feature pyramid.
        head_channels: Of the branches that are summed.
    """

    encoder: str = "resnet50"
    channels: int = 256
    head_channels: int = 128


class LinearSpec(Spec, frozen=True, kw_only=True, tag="linear"):
    """Normalisation and one 1x1 convolution on the coarsest features: how good an encoder is by itself.

    Attributes:
        encoder: Name of the encoder.
        output_stride: As in `FCNSpec`.
    """

    encoder: str = "resnet50"
    output_stride: Literal[8, 16, 32] | None = None


ModelSpec = (
    ENetSpec
    | UNetSpec
    | FCNSpec
    | PSPNetSpec
    | DeepLabV3Spec
    | DeepLabV3PlusSpec
    | LRASPPSpec
    | SegFormerSpec
    | HRNetSpec
    | OCRNetSpec
    | DeepLabV3LiteSpec
    | UNetLiteSpec
    | FPNLiteSpec
    | TFDeepLabSpec
    | ERFNetSpec
    | SwiftNetSpec
    | FPNSpec
    | LinearSpec
)
