"""TensorFlow's DeepLab."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.model import Preprocessing, Spec, register_spec

MINUS_ONE_TO_ONE = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""Normalisation to image * 2 / 255 - 1."""


@register_spec
class TFDeepLabSpec(Spec, frozen=True, kw_only=True, tag="tf-deeplab"):
    """TensorFlow's DeepLab (tensorflow/models, research/deeplab), reconstructed.

    Attributes:
        encoder: Name of the encoder; the MobileNets have no atrous branches and no decoder, Xception65 has both.
        output_stride: Stride of the encoder's coarsest features; further strides become dilations, and the atrous
            rates of Xception65 follow from it.
    """

    encoder: Literal["mobilenetv2_050", "mobilenetv2_100", "mobilenetv3_large_seg", "xception65"] = "mobilenetv2_100"
    output_stride: Literal[8, 16, 32] = 16
    preprocessing: Preprocessing = MINUS_ONE_TO_ONE
