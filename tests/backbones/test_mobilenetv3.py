from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.mobilenetv3 import MobileNetV3LargeDilated
from pixelwise.errors import RecipeError


@pytest.fixture(scope="module")
def encoder() -> MobileNetV3LargeDilated:
    built = build_encoder("mobilenet_v3_large_dilated", 16)
    assert isinstance(built, MobileNetV3LargeDilated)
    return built.eval()


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 96)])
def test_features_have_the_said_channels_and_strides_rounded_up(
    encoder: MobileNetV3LargeDilated, size: tuple[int, int]
) -> None:
    with torch.no_grad():
        features = encoder(torch.rand(1, 3, *size))

    height, width = size
    assert encoder.multiple == 1
    assert [tuple(feature.shape) for feature in features] == [
        (1, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip((16, 24, 40, 80, 160, 960), (2, 4, 8, 16, 16, 16), strict=True)
    ]
    assert (encoder.channels, encoder.strides) == ((16, 24, 40, 80, 160, 960), (2, 4, 8, 16, 16, 16))


def test_all_three_blocks_of_the_last_stage_are_dilated(encoder: MobileNetV3LargeDilated) -> None:
    depthwise = [module for module in encoder.modules() if isinstance(module, nn.Conv2d) and module.groups > 1]

    assert [conv.dilation[0] for conv in depthwise] == [1] * 12 + [2] * 3
    assert [conv.padding[0] for conv in depthwise[-3:]] == [4, 4, 4]


def test_normalisations_are_those_of_tensorflow(encoder: MobileNetV3LargeDilated) -> None:
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]

    assert len(norms) == 46
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.001, 0.01)}


def test_another_output_stride_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"'mobilenet_v3_large_dilated'.* 16, not 8") as caught:
        build_encoder("mobilenet_v3_large_dilated", 8)

    assert caught.value.code == "R207"
