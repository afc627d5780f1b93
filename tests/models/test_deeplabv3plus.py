from __future__ import annotations

import torch
from torch import nn

from pixelwise.layers.aspp import SeparableConv
from pixelwise.models.deeplabv3plus import DeepLabV3Plus
from pixelwise.recipes.families.deeplabv3plus import DeepLabV3PlusSpec


def test_the_decoder_is_the_paper_s() -> None:
    with torch.device("meta"):
        model = DeepLabV3Plus(DeepLabV3PlusSpec(encoder="resnet50"), ("a", "b", "c"))

    assert model.head.reduce.conv.weight.shape == (48, 256, 1, 1)
    assert [tuple(conv.pointwise.conv.weight.shape[:2]) for conv in model.head.decoder] == [(256, 304), (256, 256)]  # type: ignore[union-attr]
    assert [type(branch) is SeparableConv for branch in model.head.aspp.branches] == [False, True, True, True]
    assert model.head.aspp.pooled is not None
    assert model.head.classifier.weight.shape == (3, 256, 1, 1)
    atrous = [branch.depthwise.conv.dilation for branch in list(model.head.aspp.branches)[1:]]  # type: ignore[union-attr]
    assert atrous == [(6, 6), (12, 12), (18, 18)]


def test_fine_detail_reaches_the_logits_past_the_pyramid() -> None:
    torch.manual_seed(0)
    model = DeepLabV3Plus(DeepLabV3PlusSpec(encoder="resnet18", channels=16, low_level_channels=8), ("a", "b")).eval()
    images = torch.rand(1, 3, 64, 64)

    with torch.no_grad():
        model.head.aspp.project.norm.weight.zero_()  # the coarse features say nothing
        (logits,) = model.head_logits(images)
        (flat,) = model.head_logits(torch.zeros_like(images))

    assert logits.std() > 0.01
    assert not torch.allclose(logits, flat, atol=1e-3)


def test_initial_weights_keep_the_size_of_the_features() -> None:
    torch.manual_seed(0)
    model = DeepLabV3Plus(DeepLabV3PlusSpec(encoder="resnet18", channels=64), ("a", "b"))

    for conv in (module for module in model.head.decoder.modules() if isinstance(module, nn.Conv2d)):
        fan_in = conv.weight[0].numel()
        assert conv.weight.square().mean().item() * fan_in / 2 > 0.8
        assert conv.weight.square().mean().item() * fan_in / 2 < 1.2
