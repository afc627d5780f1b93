from __future__ import annotations

import torch
from torch import nn

from pixelwise.layers.convolutions import ConvNormActivation, conv_norm_relu


def test_convolution_normalisation_and_activation_act_in_this_order() -> None:
    block = ConvNormActivation(nn.Conv2d(1, 1, kernel_size=1, bias=False), nn.ReLU()).eval()
    nn.init.constant_(block.conv.weight, 2.0)
    nn.init.constant_(block.norm.running_mean, 4.0)  # type: ignore[arg-type]
    nn.init.constant_(block.norm.bias, 1.0)

    result = block(torch.tensor([[[[1.0, 3.0]]]]))

    # 2 * 1 - 4 + 1 = -1, cut to 0; 2 * 3 - 4 + 1 = 3; batch normalisation adds 1e-5 to the variance.
    assert torch.allclose(result, torch.tensor([[[[0.0, 3.0]]]]), atol=1e-4)


def test_the_normalisation_is_as_asked_for() -> None:
    block = ConvNormActivation(nn.Conv2d(1, 1, kernel_size=1), nn.Identity(), eps=1e-3, momentum=0.01)

    assert (block.norm.eps, block.norm.momentum) == (1e-3, 0.01)


def test_a_dilated_convolution_keeps_the_size_and_has_no_bias() -> None:
    block = conv_norm_relu(4, 6, 3, dilation=5, groups=2, eps=1e-3, momentum=0.01)

    assert block.conv.weight.shape == (6, 2, 3, 3)
    assert block.conv.bias is None
    assert (block.norm.eps, block.norm.momentum) == (1e-3, 0.01)
    assert block(torch.rand(2, 4, 7, 9)).shape == (2, 6, 7, 9)
    assert block(torch.rand(2, 4, 7, 9)).min() == 0
