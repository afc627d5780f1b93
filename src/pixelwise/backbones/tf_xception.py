"""TensorFlow's modified aligned Xception-65 as used in its DeepLab.

Chen et al. 2018, arXiv:1802.02611. Follows tensorflow/models, research/deeplab (Apache-2.0). The
layers are timm's, whose graph is the original's: symmetric padding, eps 0.001, and dilation from the
second block on once the output stride is reached. Only the features of stride 4 differ: the original
takes them before the activation, timm after it.
"""

from __future__ import annotations

from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import expect_output_stride, register_encoder
from pixelwise.backbones.tf_mobilenet import PREFIX
from pixelwise.layers.initialisation import truncated_normal

MOMENTUM = 0.0003
"""PyTorch's momentum for the original's decay of 0.9997."""
STDDEV = 0.09
"""Standard deviation of the initial weights."""


class TFXception65(Encoder):
    """Two feature maps, one of stride 4 from inside the second block and the coarsest one, for images of any size.

    Args:
        output_stride: Stride of the coarsest feature map, 8, 16 or 32.
        in_channels: Number of bands of the input images.
    """

    def __init__(self, output_stride: int, in_channels: int = 3) -> None:
        super().__init__()
        # Imported here, because importing timm takes longer than building a small network.
        import timm

        self.name = self.timm_name = "xception65"
        self.multiple: int = 1
        network: Any = timm.create_model(
            "xception65", pretrained=False, num_classes=0, output_stride=output_stride, in_chans=in_channels
        )
        # The names of timm's feature extractor, so that its weights fit.
        self.network = nn.ModuleDict(
            {
                f"{part}_{index}": module
                for part in ("stem", "blocks")
                for index, module in enumerate(getattr(network, part))
            }
        )
        self.channels: tuple[int, int] = (256, 2048)
        self.strides: tuple[int, int] = (4, output_stride)
        truncated_normal(self, STDDEV)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = MOMENTUM

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) float to one (B, C, ceil(H / stride), ceil(W / stride)) per stride."""
        stem, stem2, first, second, *others = cast("list[Any]", list(self.network.values()))
        features = first(stem2(stem(images)))
        layers = second.stack
        fine = layers.conv2(layers.act2(layers.conv1(layers.act1(features))))
        # Not `act3`, which works in place and would change `fine`.
        features = layers.conv3(F.relu(fine)) + second.shortcut(features)
        for block in others:
            features = block(features)
        return [fine, features]


@register_encoder(f"{PREFIX}xception65")
def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> TFXception65:
    """Build the Xception-65; the default output stride is 32, and both feature maps are returned."""
    return TFXception65(expect_output_stride(name, output_stride, 8, 16, 32), in_channels)
