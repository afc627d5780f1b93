from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.models import build_model
from pixelwise.models.linear import Linear
from pixelwise.recipes.families.linear import LinearSpec


def build(encoder: str = "resnet18", output_stride: int | None = None) -> Linear:
    torch.manual_seed(0)
    model = build_model(LinearSpec(encoder=encoder, output_stride=output_stride), num_classes=3)  # type: ignore[arg-type]
    assert isinstance(model, Linear)
    return model.eval()


def test_logits_are_a_linear_function_of_the_normalised_coarsest_features() -> None:
    model = build()
    images = torch.rand(1, 3, 64, 96)
    nn.init.uniform_(model.norm.running_mean)  # type: ignore[arg-type]

    with torch.no_grad():
        (logits,) = model.head_logits(images)
        normalised = (model.encoder(images)[-1] - model.norm.running_mean[:, None, None]) / (1 + 1e-5) ** 0.5  # type: ignore[index]

    expected = torch.einsum("bchw,kc->bkhw", normalised, model.classifier.weight[..., 0, 0])
    assert torch.allclose(logits, expected + model.classifier.bias[:, None, None], atol=1e-5)  # type: ignore[index]


@pytest.mark.parametrize(
    ("encoder", "output_stride", "stride"),
    [
        ("resnet18", None, 32),
        ("resnet18", 8, 8),
        ("convnext_atto", None, 32),
        ("mobilenetv3_small_100", None, 32),
        ("regnetx_004", None, 32),
        ("mit_b0", None, 32),
        ("vit_tiny_patch16_224", None, 16),
        ("vit_tiny_patch16_224", 8, 8),
    ],
)
def test_any_encoder_works_at_any_size_and_learns(encoder: str, output_stride: int | None, stride: int) -> None:
    model = build(encoder, output_stride)

    with torch.no_grad():
        (logits,) = model.head_logits(torch.rand(1, 3, 33, 47))
        (smallest,) = model.head_logits(torch.rand(1, 3, 1, 1))
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        if hasattr(module, "drop_path") and isinstance(module.drop_path, float):
            module.drop_path = 0.0
    model.head_logits(torch.rand(2, 3, 64, 64))[0].square().mean().backward()

    assert logits.shape == (1, 3, -(-33 // stride), -(-47 // stride))
    assert smallest.shape == (1, 3, 1, 1)
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_between_a_plain_transformer_and_the_classifier_is_only_the_normalisation() -> None:
    model = build("vit_tiny_patch16_224")

    beside = [name for name, _ in model.named_parameters() if not name.startswith("encoder.network.")]

    assert beside == ["norm.weight", "norm.bias", "classifier.weight", "classifier.bias"]


@pytest.mark.heavy
def test_it_can_be_exported() -> None:
    model, images = build(), torch.rand(1, 3, 33, 47)

    exported = torch.export.export(model, (images,), strict=False)

    with torch.no_grad():
        assert torch.allclose(exported.module()(images), model(images), atol=1e-5)
