from __future__ import annotations

import torch
from torch import nn

from pixelwise.layers.convolutions import ConvNormActivation


def test_convolution_normalisation_and_activation_act_in_this_order() -> None:
    block = ConvNormActivation(nn.Conv2d(1, 1, kernel_size=1, bias=False), nn.ReLU()).eval()
    nn.init.constant_(block.conv.weight, 2.0)
    nn.init.constant_(block.norm.running_mean, 4.0)  # type: ignore[arg-type]
    nn.init.constant_(block.norm.bias, 1.0)

    result = block(torch.tensor([[[[1.0, 3.0]]]]))

    # 2 * 1 - 4 + 1 = -1, cut to 0; 2 * 3 - 4 + 1 = 3; batch normalisation adds 1e-5 to the variance.
    assert torch.allclose(result, torch.tensor([[[[0.0, 3.0]]]]), atol=1e-4)
