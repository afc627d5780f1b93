from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.backbones.lite import GROUP_SIZES, LiteEncoder


def test_the_last_halving_is_left_out_at_output_stride_16_and_nothing_is_dilated() -> None:
    for name in ("mobilenetv2_100", "regnetx_004"):
        encoder = LiteEncoder(name, output_stride=16).eval()

        with torch.no_grad():
            shapes = [feature.shape[-2:] for feature in encoder(torch.rand(1, 3, 64, 96))]

        assert encoder.strides == (2, 4, 8, 16, 16)
        assert shapes == [(32, 48), (16, 24), (8, 12), (4, 6), (4, 6)]
        assert all(module.dilation == (1, 1) for module in encoder.modules() if isinstance(module, nn.Conv2d))


def test_output_stride_16_keeps_the_weights_of_32() -> None:
    coarse, fine = LiteEncoder("mobilenetv2_100"), LiteEncoder("mobilenetv2_100", output_stride=16)

    fine.load_state_dict(coarse.state_dict())

    assert coarse.strides == (2, 4, 8, 16, 32)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("mobilenetv2_100", (16, 24, 32, 96, 320)),
        ("mobilenetv2_140", (24, 32, 48, 136, 448)),
        ("regnetx_004", (32, 32, 64, 160, 384)),
        ("regnetx_008", (32, 64, 128, 288, 672)),
        ("regnetx_016", (32, 72, 168, 408, 912)),
        ("regnetx_032", (32, 96, 192, 432, 1008)),
    ],
)
def test_channels_and_group_sizes_are_the_original_s(name: str, channels: tuple[int, ...]) -> None:
    with torch.device("meta"):
        encoder = LiteEncoder(name)
    kernels = [module for module in encoder.modules() if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)]
    stem, *others = kernels

    assert encoder.channels == channels
    assert stem.groups == 1
    assert {conv.in_channels // conv.groups for conv in others} == {GROUP_SIZES[name]}
    assert all(conv.padding == (1, 1) for conv in kernels)  # on every side, not TensorFlow's "SAME"


@pytest.mark.heavy
def test_only_the_width_of_1_4_has_relu6() -> None:
    def activations(name: str) -> set[type[nn.Module]]:
        with torch.device("meta"):
            return {type(module) for module in LiteEncoder(name).modules() if isinstance(module, (nn.ReLU, nn.ReLU6))}

    assert activations("mobilenetv2_100") == {nn.ReLU}
    assert activations("mobilenetv2_140") == {nn.ReLU6}
    assert activations("regnetx_008") == {nn.ReLU}
