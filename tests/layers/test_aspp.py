from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.layers.aspp import ASPP, SeparableConv


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_there_is_a_branch_per_rate_one_without_and_one_for_the_mean() -> None:
    aspp = ASPP(8, 4, (2, 3), dropout=0.5)

    kernels = [branch.conv.kernel_size for branch in aspp.branches]  # type: ignore[union-attr]
    dilations = [branch.conv.dilation for branch in aspp.branches]  # type: ignore[union-attr]

    assert kernels == [(1, 1), (3, 3), (3, 3)]
    assert dilations == [(1, 1), (2, 2), (3, 3)]
    # 1x1, two 3x3, 1x1 of the mean, 1x1 that joins four; two numbers per channel for each normalisation.
    assert parameters(aspp) == 8 * 4 + 2 * 9 * 8 * 4 + 8 * 4 + 4 * 4 * 4 + 5 * 2 * 4
    assert aspp.dropout.p == 0.5


def test_branches_are_joined_in_the_order_1x1_rates_mean() -> None:
    aspp = ASPP(2, 1, (2,)).eval()
    with torch.no_grad():
        for branch, value in zip([*aspp.branches, aspp.pooled], (1.0, 10.0, 100.0), strict=True):
            branch.norm.weight.zero_()  # type: ignore[union-attr]
            branch.norm.bias.fill_(value)  # type: ignore[union-attr]
        aspp.project.conv.weight.copy_(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1))
        aspp.project.norm.eps = 0.0
        result = aspp(torch.rand(1, 2, 3, 4))

    assert torch.equal(result, torch.full((1, 1, 3, 4), 1.0 * 1 + 2.0 * 10 + 3.0 * 100))


def test_the_mean_reaches_every_position() -> None:
    aspp = ASPP(3, 4, (), image_pooling=True).eval()
    with torch.no_grad():
        for parameter in aspp.parameters():
            parameter.abs_()  # a ReLU would hide what is negative
    features = torch.rand(1, 3, 5, 7)
    changed = features.clone()
    changed[..., 0, 0] += 10

    with torch.no_grad():
        difference = (aspp(changed) - aspp(features)).abs().sum(dim=1)

    assert (difference > 0).all()


def test_without_rates_and_mean_a_position_sees_itself_only() -> None:
    aspp = ASPP(3, 4, (), image_pooling=False).eval()
    features = torch.rand(1, 3, 5, 7)
    changed = features.clone()
    changed[..., 0, 0] += 10

    with torch.no_grad():
        difference = (aspp(changed) - aspp(features)).abs().sum(dim=1)

    assert aspp.pooled is None
    assert difference[0, 0, 0] > 0
    assert difference.count_nonzero() == 1


def test_separable_branches_convolve_each_channel_then_mix_with_a_relu_after_both() -> None:
    conv = SeparableConv(3, 5, 2).eval()
    features = torch.randn(1, 3, 6, 7)

    with torch.no_grad():
        scale = (1 + 1e-5) ** -0.5  # of a normalisation that has seen nothing
        depthwise = F.conv2d(features, conv.depthwise.conv.weight, padding=2, dilation=2, groups=3)
        expected = F.relu(F.conv2d(F.relu(depthwise * scale), conv.pointwise.conv.weight) * scale)
        result = conv(features)

    assert torch.allclose(result, expected, atol=1e-6)
    assert parameters(ASPP(8, 4, (6,), separable=True).branches[1]) == 8 * 9 + 8 * 4 + 2 * 8 + 2 * 4


def test_eps_and_momentum_are_those_of_all_normalisations() -> None:
    for separable in (False, True):
        aspp = ASPP(4, 4, (1, 2), separable=separable, eps=1e-3, momentum=0.03)

        norms = [module for module in aspp.modules() if isinstance(module, nn.BatchNorm2d)]

        assert len(norms) == (7 if separable else 5)
        assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


def test_rates_larger_than_the_map_are_fine() -> None:
    with torch.no_grad():
        assert ASPP(3, 4, (12, 24, 36)).eval()(torch.rand(1, 3, 1, 1)).shape == (1, 4, 1, 1)
