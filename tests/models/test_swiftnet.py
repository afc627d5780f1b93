from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.models import build_model
from pixelwise.models.swiftnet import NormActivationConv, SquarePyramidPooling, SwiftNet, square_columns
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.real_time.swiftnet import SwiftNetSpec

ENCODERS = ("resnet18", "mobilenetv2_100")


def build(encoder: str = "mobilenetv2_100", num_classes: int = 3) -> SwiftNet:
    torch.manual_seed(0)
    model = build_model(SwiftNetSpec(encoder=encoder), num_classes)  # type: ignore[arg-type]
    assert isinstance(model, SwiftNet)
    return model.eval()


@pytest.mark.parametrize(
    ("encoder", "parameters", "gmacs"),
    [("resnet18", 11_797_071, "103.566"), ("mobilenetv2_100", 2_368_831, "38.154")],
)
def test_parameters_and_multiplications_are_those_of_the_row(encoder: str, parameters: int, gmacs: str) -> None:
    with torch.device("meta"):
        counted = complexity(build(encoder, 19), 1024, 2048)

    assert counted.parameters == parameters
    assert f"{counted.gmacs:.3f}" == gmacs


def test_convolutions_come_after_normalisation_and_activation() -> None:
    block = NormActivationConv(1, 1, bias=True).eval()
    block.norm.running_mean.fill_(2.0)  # type: ignore[union-attr]
    nn.init.constant_(block.conv.weight, 3.0)
    nn.init.constant_(block.conv.bias, 0.5)  # type: ignore[arg-type]

    with torch.no_grad():
        result = block(torch.tensor([1.0, 2.0, 4.0]).view(1, 1, 1, 3))

    assert result.flatten().tolist() == pytest.approx([0.5, 0.5, 6.5], abs=1e-4)


@pytest.mark.parametrize(("size", "grids"), [((4, 8), [(8, 16), (4, 8), (2, 4)]), ((9, 3), [(8, 3), (4, 1), (2, 1)])])
def test_cells_of_the_pyramid_are_nearly_square(size: tuple[int, int], grids: list[tuple[int, int]]) -> None:
    pooling = SquarePyramidPooling(5).eval()
    seen: list[tuple[int, ...]] = []
    for conv in pooling.grids:
        conv.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:])))

    with torch.no_grad():
        pooled = pooling(torch.rand(1, 5, *size))

    assert seen == grids
    assert pooled.shape == (1, 128, *size)


def test_only_the_pooling_normalises_with_small_momentum() -> None:
    model = build()

    def momenta(part: nn.Module) -> set[float | None]:
        return {module.momentum for module in part.modules() if isinstance(module, nn.BatchNorm2d)}

    assert momenta(model.pooling) == {0.005}
    assert momenta(model.decoder) == momenta(model.classifier) == {0.1}


def test_features_of_resnet_are_those_after_the_last_activation_of_each_stage() -> None:
    model = build("resnet18")
    with torch.no_grad():
        assert all(feature.min() >= 0 for feature in model.encoder(torch.rand(1, 3, 64, 96)))


def test_the_decoder_adds_the_encoder_s_features_scale_by_scale() -> None:
    model = build()
    images = torch.rand(1, 3, 33, 47)

    def step(features: Tensor, skip: Tensor, index: int) -> Tensor:
        upsampling = model.decoder[index]
        skip = upsampling.skip(skip)  # type: ignore[operator,union-attr]
        enlarged = F.interpolate(features, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return upsampling.blend(enlarged + skip)  # type: ignore[operator,union-attr]

    with torch.no_grad():
        at_4, at_8, at_16, at_32 = model.encoder(images)
        features = step(step(step(model.pooling(at_32), at_16, 0), at_8, 1), at_4, 2)
        expected = model.classifier(features)
        (logits,) = model.head_logits(images)

    assert logits.shape == (1, 3, 9, 12)
    assert torch.allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_two_crops_train_every_parameter(encoder: str) -> None:
    model = build(encoder).train()

    (logits,) = model.head_logits(torch.rand(2, 3, 64, 64))
    logits.square().mean().backward()

    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("encoder", ENCODERS)
def test_one_pixel_has_logits(encoder: str) -> None:
    with torch.no_grad():
        assert build(encoder)(torch.rand(1, 3, 1, 1)).isfinite().all()


@pytest.mark.parametrize("rows", [8, 4, 2])
def test_columns_are_rounded_as_python_rounds(rows: int) -> None:
    for height in range(1, 40):
        for width in range(1, 80):
            assert square_columns(height, width, rows) == max(1, round(width / height * rows)), (height, width)
