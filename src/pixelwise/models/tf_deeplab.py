"""TensorFlow's DeepLab: tensorflow/models, research/deeplab (Apache-2.0), reconstructed for PyTorch.

DeepLabV3: Chen et al. 2017, arXiv:1706.05587; DeepLabV3+: Chen et al. 2018, arXiv:1802.02611; with
MobileNetV2: Sandler et al. 2018, arXiv:1801.04381; with MobileNetV3: Howard et al. 2019,
arXiv:1905.02244. The networks of the published models:

=========================  ===========================================================  ======
encoder                    head                                                         stride
=========================  ===========================================================  ======
`mobilenetv2_050`, `_100`  1x1 convolution and mean of the map; no atrous convolution   output
`mobilenetv3_large_seg`    1x1 convolution gated by pooled features (LR-ASPP), plus      8
                           logits of features of stride 8
`xception65`               separable atrous pyramid pooling, decoder at stride 4         4
=========================  ===========================================================  ======

Reconstructed means implemented from the published code and its flags, without weights to compare with.
As in the original, maps are resized with aligned corners, "SAME" padding is TensorFlow's, batch
normalisation has eps 0.001 in the encoder and 0.00001 in the head, and a small momentum (0.003 in the
encoder and 0.0003 in the head; 0.0003 in all of Xception), meant for long training from pretrained weights.

Scale and shift of every batch normalisation are trained: `scale` is True in the arguments of DeepLab's head
(deeplab/model.py), of Xception (deeplab/core/xception.py) and of the MobileNets (slim/nets/mobilenet), and it is
`fine_tune_batch_norm=False`, meant for small batches, that stops only the update of the running statistics.

Deviations, which change logits by rounding at most: the mean of the map is concatenated last, not first,
and the hard sigmoid of MobileNetV3 divides by 6 instead of multiplying by 0.16667. Where an image is too
small for the pooling window of the LR-ASPP, which the original refuses, the window is the whole map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.tf_mobilenet import TFMobileNet
from pixelwise.backbones.tf_xception import TFXception65
from pixelwise.layers.aspp import ASPP, SeparableConv
from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.deeplab_decoder import DROPOUT, DeepLabDecoder, NormConstants
from pixelwise.layers.initialisation import truncated_normal
from pixelwise.layers.pooling import window_means
from pixelwise.layers.resizing import resize_to
from pixelwise.layers.sizes import shorter
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.recipes.families.tf_deeplab import TFDeepLabSpec

EPS = 1e-5
MOMENTUM = 0.0003
CHANNELS = 256
GATED_CHANNELS = 128
RATES = {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}
"""Output stride -> dilations; those of 32 are not published and cover the same distance in the image."""
WINDOW_PIXELS = 769
"""Side of the LR-ASPP's pooling window in image pixels: the original's training crop."""
WINDOW_STRIDE = (4, 5)


class PoolingHead(nn.Module):
    """A 1x1 convolution and the mean of the map, concatenated and classified.

    Args:
        channels: Channels of the coarsest features.
        num_classes: Number of outputs of the classifier.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.aspp = ASPP(channels, CHANNELS, eps=EPS, momentum=MOMENTUM, dropout=DROPOUT)
        self.classifier = nn.Conv2d(CHANNELS, num_classes, kernel_size=1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Coarse features (B, C, h, w) float to logits (B, K, h, w); `fine` is not used."""
        return self.classifier(self.aspp(coarse))


class GatedHead(nn.Module):
    """LR-ASPP: logits of features gated by window means, plus logits of finer features.

    Args:
        fine_channels: Channels of the finer features.
        channels: Channels of the coarsest features.
        output_stride: Stride of the coarsest features.
        num_classes: Number of outputs of the classifiers.
    """

    def __init__(self, fine_channels: int, channels: int, output_stride: int, num_classes: int) -> None:
        super().__init__()
        self.window: int = (WINDOW_PIXELS - 1) // output_stride + 1
        self.features = conv_norm_relu(channels, GATED_CHANNELS, eps=EPS, momentum=MOMENTUM)
        self.gate = nn.Conv2d(channels, GATED_CHANNELS, kernel_size=1)
        self.classifier = nn.Conv2d(GATED_CHANNELS, num_classes, kernel_size=1)
        self.fine_classifier = nn.Conv2d(fine_channels, num_classes, kernel_size=1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """(B, F, H, W) and (B, C, h, w) float to logits (B, K, H, W)."""
        height, width = coarse.shape[-2:]
        window = (shorter(self.window, height), shorter(self.window, width))
        gate = F.hardsigmoid(self.gate(window_means(coarse, window, WINDOW_STRIDE)))
        gated = self.features(coarse) * resize_to(gate, coarse, align_corners=True)
        return self.classifier(resize_to(gated, fine, align_corners=True)) + self.fine_classifier(fine)


class TFDeepLab(SegmentationModel):
    """One of TensorFlow's encoders with the head that belongs to it."""

    align_corners = True

    def __init__(self, spec: TFDeepLabSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        if spec.encoder == "xception65":
            self.encoder: nn.Module = TFXception65(spec.output_stride, spec.preprocessing.in_channels)
            fine_channels, channels = self.encoder.channels
            head = DeepLabDecoder(
                fine_channels,
                channels,
                RATES[spec.output_stride],
                self.num_classes,
                align_corners=True,
                norm=NormConstants(EPS, MOMENTUM),
            )
        else:
            self.encoder = TFMobileNet(spec.encoder, spec.output_stride, spec.preprocessing.in_channels)
            fine_channels, channels = self.encoder.channels
            if spec.encoder == "mobilenetv3_large_seg":
                head = GatedHead(fine_channels, channels, spec.output_stride, self.num_classes)
            else:
                head = PoolingHead(channels, self.num_classes)
        self.head = head
        _initialise(self.head)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / s), ceil(W / s)) at the stride s of the table above; there are no auxiliary heads."""
        fine, coarse = self.encoder(images)
        return (self.head(fine, coarse),)


def _initialise(head: nn.Module) -> None:
    """Draw the initial weights of a head as the original does."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in head.modules():
        if isinstance(module, SeparableConv):
            truncated_normal(module.depthwise.conv, 0.33)
            truncated_normal(module.pointwise.conv, 0.06)
    if isinstance(head, (PoolingHead, DeepLabDecoder)):
        truncated_normal(head.classifier, 0.01)


@builds(TFDeepLabSpec)
def build(spec: TFDeepLabSpec, classes: tuple[str, ...]) -> TFDeepLab:
    """TensorFlow's DeepLab, initialised as the original without a pretrained encoder."""
    return TFDeepLab(spec, classes)
