"""MobileNetV3-Large with torchvision's dilation for segmentation.

Howard et al. 2019, arXiv:1905.02244. The blocks are timm's; the graph is that of torchvision's
`mobilenet_v3_large(dilated=True)` (BSD-3-Clause), which differs from timm's at output stride 16:

- the first block of the last stage is dilated as well;
- feature maps are taken after the strided block, not after the last block of that stride;
- batch normalisation has eps 0.001 and momentum 0.01.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import register_encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.initialisation import he_normal

NAME = "mobilenet_v3_large_dilated"
OUTPUT_STRIDE = 16
EPS = 1e-3
MOMENTUM = 0.01
DEPTHS = (1, 2, 3, 4, 2, 3, 1)
"""Number of blocks of each of timm's stages; the last stage is a plain 1x1 convolution."""
TAPS = ((1, 0), (2, 0), (3, 0), (5, 0), (6, 0))
"""(stage, block) pairs after which feature maps are taken, in addition to that of the stem."""
DILATED_STAGE = 5
DILATION = 2


class MobileNetV3LargeDilated(Encoder):
    """Feature maps of 16, 24, 40, 80, 160 and 960 channels at strides 2, 4, 8, 16, 16 and 16, for any image size.

    Initial weights are drawn as in torchvision.

    Args:
        output_stride: Stride of the coarsest feature map: 16, or None, which means 16.
        in_channels: Number of bands of the input images.

    Raises:
        RecipeError: R207, the output stride is not 16.
    """

    def __init__(self, output_stride: int | None = None, in_channels: int = 3) -> None:
        super().__init__()
        if output_stride not in (None, OUTPUT_STRIDE):
            raise RecipeError(
                "R207",
                f"the encoder '{NAME}' supports output stride {OUTPUT_STRIDE}, not {output_stride}",
                "leave model.output_stride out, or choose mobilenetv3_large_100",
            )
        # Imported here, because importing timm takes longer than building a small network.
        import timm

        self.name = NAME
        self.timm_name = "mobilenetv3_large_100"
        self.channels = (16, 24, 40, 80, 160, 960)
        self.strides = (2, 4, 8, 16, 16, 16)
        self.multiple = 1
        self.network: Any = timm.create_model(
            self.timm_name,
            pretrained=False,
            features_only=True,
            output_stride=OUTPUT_STRIDE,
            bn_eps=EPS,
            bn_momentum=MOMENTUM,
            in_chans=in_channels,
        )
        for block in self.network.blocks[DILATED_STAGE]:
            _dilate(block.conv_dw)
        he_normal(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) float to one (B, C, ceil(H / stride), ceil(W / stride)) per stride."""
        network = self.network
        features = network.act1(network.bn1(network.conv_stem(images)))
        maps = [features]
        for stage, blocks in enumerate(network.blocks):
            for place, block in enumerate(blocks):
                features = block(features)
                if (stage, place) in TAPS:
                    maps.append(features)
        return maps


def _dilate(conv: nn.Conv2d) -> None:
    """Set the dilation of a convolution, and the padding that keeps the size."""
    reach = DILATION * (conv.kernel_size[0] // 2)
    conv.dilation, conv.padding = (DILATION, DILATION), (reach, reach)


@register_encoder(NAME)
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> MobileNetV3LargeDilated:
    """Build the encoder; the only output stride is 16, and all feature maps are returned."""
    return MobileNetV3LargeDilated(output_stride, in_channels)
