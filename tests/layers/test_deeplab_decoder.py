from __future__ import annotations

import torch
from torch import Tensor, nn

from pixelwise.layers.deeplab_decoder import DeepLabDecoder, NormConstants


def run(decoder: DeepLabDecoder) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, what the two convolutions read, pyramid pooling and reduced fine features."""
    torch.manual_seed(0)
    fine, coarse = torch.randn(1, 5, 9, 13), torch.randn(1, 4, 3, 4)
    seen: list[Tensor] = []
    decoder.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        return decoder(fine, coarse), seen[0], decoder.aspp(coarse), decoder.reduce(fine)


def test_enlarged_features_and_reduced_fine_ones_are_joined() -> None:
    decoder = DeepLabDecoder(5, 4, (1, 2), num_classes=3, align_corners=True).eval()

    logits, joined, coarse, fine = run(decoder)

    assert logits.shape == (1, 3, 9, 13)
    assert joined.shape == (1, 256 + 48, 9, 13)
    # Corners are aligned: every fourth row and column is one of the coarse map.
    assert torch.allclose(joined[:, :256, ::4, ::4], coarse, atol=1e-6)
    assert torch.equal(joined[:, 256:], fine)


def test_corners_are_not_aligned_unless_asked_for() -> None:
    decoder = DeepLabDecoder(5, 4, (1, 2), num_classes=3, channels=16, low_level_channels=6).eval()

    _, joined, coarse, fine = run(decoder)

    expected = nn.functional.interpolate(coarse, size=(9, 13), mode="bilinear", align_corners=False)
    assert torch.equal(joined, torch.cat((expected, fine), dim=1))
    assert joined.shape[1] == 16 + 6


def test_all_normalisations_are_as_asked_for() -> None:
    decoder = DeepLabDecoder(5, 4, (1, 2), num_classes=3, channels=8, norm=NormConstants(1e-3, 0.01))
    norms = [module for module in decoder.modules() if isinstance(module, nn.BatchNorm2d)]

    # Pyramid pooling: 1x1, two separable branches, mean, joining; then the reduction and two separable convolutions.
    assert len(norms) == 1 + 2 * 2 + 1 + 1 + 1 + 2 * 2
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}
