from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.errors import RecipeError
from pixelwise.layers.lite import GroupedSeparableConv, LiteASPP, LitePrediction, grouped3x3, initialise


def test_a_group_of_one_channel_is_a_depthwise_convolution() -> None:
    assert grouped3x3(12, group_size=1).weight.shape == (12, 1, 3, 3)
    assert grouped3x3(48, group_size=16).weight.shape == (48, 16, 3, 3)


def test_the_number_of_groups_is_rounded_down_as_in_the_original() -> None:
    # 42 channels of UNetLite with 21 classes: two groups of 21, not of 16.
    assert grouped3x3(42, group_size=16).groups == 2


@pytest.mark.parametrize(("channels", "group_size"), [(256, 24), (8, 16)])
def test_channels_that_cannot_be_grouped_are_refused(channels: int, group_size: int) -> None:
    with pytest.raises(RecipeError, match=rf" {channels} channels.* {group_size} channels") as raised:
        grouped3x3(channels, group_size)

    assert raised.value.code == "R203"


def test_a_separable_convolution_is_activated_after_both_parts() -> None:
    conv = GroupedSeparableConv(4, 3, group_size=2, activation=nn.ReLU)
    nn.init.constant_(conv.grouped.norm.bias, -100.0)
    nn.init.constant_(conv.pointwise.norm.bias, 1.0)
    conv.eval()

    with torch.no_grad():
        result = conv(torch.rand(1, 4, 5, 7))

    assert torch.equal(result, torch.ones(1, 3, 5, 7))  # nothing passes the first activation


def test_the_prediction_is_not_activated() -> None:
    prediction = LitePrediction(4, 3, group_size=1)
    nn.init.constant_(prediction.grouped.norm.bias, -100.0)
    nn.init.ones_(prediction.classifier.weight)
    prediction.eval()

    with torch.no_grad():
        logits = prediction(torch.zeros(1, 4, 5, 7))

    assert torch.equal(logits, torch.full((1, 3, 5, 7), -400.0))
    assert prediction.classifier.bias is None


def test_the_aspp_has_no_branch_for_the_whole_map_and_drops_channels_before_joining() -> None:
    aspp = LiteASPP(4, 6, group_size=1, activation=nn.ReLU)
    seen = []
    aspp.project.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    dilations = [module.dilation for module in aspp.modules() if isinstance(module, nn.Conv2d)]

    torch.manual_seed(0)
    aspp(torch.rand(2, 4, 8, 8))

    assert dilations == [(1, 1), (6, 6), (1, 1), (12, 12), (1, 1), (18, 18), (1, 1), (1, 1)]
    assert seen[0].shape == (2, 24, 8, 8)
    assert isinstance(aspp.dropout, nn.Dropout2d)
    assert aspp.dropout.p == 0.2


def test_initial_normalisation_weights_are_the_original_s() -> None:
    aspp = LiteASPP(4, 6, group_size=1, activation=nn.ReLU)

    initialise(aspp)

    norms = [module for module in aspp.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all((norm.weight == 1 - 1e-5).all() and (norm.bias == 0).all() for norm in norms)
