"""Linear head: batch normalisation and a 1x1 convolution on the coarsest features, to evaluate an encoder.

The linear evaluation of DINOv2 (Oquab et al., TMLR 2024, arXiv:2304.07193), independently implemented: batch
normalisation, then a 1x1 convolution, on the features of the last block of a plain transformer. On a plain
transformer, nothing stands between encoder and head unless `output_stride` differs from the stride of its
patches. Deviations: any encoder can be used, and it is trained as well unless the training freezes it.
There is no dropout. The classifier's weights start from a normal distribution (0.01), its bias at zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.layers.initialisation import small_normal
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode
from pixelwise.recipes.families.linear import LinearSpec


class Linear(SegmentationModel):
    """Encoder, batch normalisation, 1x1 classifier; logits at the stride of the coarsest features.

    Raises:
        RecipeError: R207, the encoder is unknown, cannot be built, or cannot have that output stride.
    """

    def __init__(self, spec: LinearSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        encoder = build_encoder(spec.encoder, spec.output_stride, maps=1, in_channels=spec.preprocessing.in_channels)
        self.encoder = encoder
        self.stride: int = encoder.strides[-1]
        self.norm = nn.BatchNorm2d(encoder.channels[-1])
        self.classifier = nn.Conv2d(encoder.channels[-1], self.num_classes, kernel_size=1)
        small_normal(self.classifier)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / s), ceil(W / s)) at stride s; there are no auxiliary heads."""
        logits = self.classifier(self.norm(encode(self.encoder, images)[-1]))
        return (crop_to_image(logits, images, self.stride),)


@builds(LinearSpec)
def build(spec: LinearSpec, classes: tuple[str, ...]) -> Linear:
    """The encoder with its default initial weights, and a classifier with small random weights."""
    return Linear(spec, classes)
