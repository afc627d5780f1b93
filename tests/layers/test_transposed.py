from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.layers.transposed import transposed_to


class Enlarged(nn.Module):
    def __init__(self, kernel_size: int, padding: int, odd: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(2, 3, kernel_size, stride=2, padding=padding)
        self.odd = odd

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        height, width = features.shape[-2:]
        return transposed_to(self.conv, features, (2 * height + self.odd, 2 * width))


@pytest.mark.parametrize(("kernel_size", "padding", "odd"), [(3, 1, -1), (3, 1, 0), (2, 0, 0), (2, 0, 1)])
def test_an_exported_graph_gives_what_the_convolution_gives(kernel_size: int, padding: int, odd: int) -> None:
    network, features = Enlarged(kernel_size, padding, odd).eval(), torch.randn(1, 2, 5, 6)

    with torch.no_grad():
        expected = network(features)
        found = torch.export.export(network, (features,), strict=False).module()(features)

    assert expected.shape == (1, 3, 10 + odd, 12)
    assert torch.allclose(found, expected, atol=1e-6)
