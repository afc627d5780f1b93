from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pixelwise.models import build_model
from pixelwise.models.ocrnet import ObjectAttention, OCRNet, describe_regions
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.hrnet import OCRNetSpec

SMALL = OCRNetSpec(variant="w18-small-v1", channels=32, key_channels=16)


def build(num_classes: int = 3) -> OCRNet:
    torch.manual_seed(0)
    model = build_model(SMALL, num_classes)
    assert isinstance(model, OCRNet)
    return model.eval()


@pytest.mark.heavy
def test_parameters_and_multiplications_are_the_original_s() -> None:
    with torch.device("meta"):
        model = build_model(OCRNetSpec(), 19)
    counted = complexity(model, 1024, 2048)

    assert counted.parameters == 70_372_678
    assert counted.auxiliary_parameters == 0  # the soft regions take part in inference
    assert f"{counted.gmacs:.2f}" == "1297.88"


def test_a_region_is_described_by_the_mean_feature_of_its_pixels() -> None:
    pixels = torch.tensor([[[1.0, 2.0, 3.0, 10.0]], [[0.0, 4.0, 8.0, 0.0]]]).view(1, 2, 2, 2)
    certain, third = 50.0, math.log(1 / 3)
    # The first class is on the first two pixels; the second one has a third of the last pixel's weight on the first.
    soft_regions = torch.tensor([[certain, certain, -certain, -certain], [third, -certain, -certain, 0.0]])

    regions = describe_regions(pixels, soft_regions.view(1, 2, 2, 2))

    assert regions.shape == (1, 2, 2, 1)
    assert regions[0, :, 0, 0].tolist() == pytest.approx([1.5, 2.0])
    assert regions[0, :, 1, 0].tolist() == pytest.approx([0.25 * 1 + 0.75 * 10, 0.0])


def test_attention_weighs_the_values_by_scaled_products_of_queries_and_keys() -> None:
    attention = ObjectAttention(channels=4, key_channels=4).eval()
    for conv in (module for module in attention.modules() if isinstance(module, nn.Conv2d)):
        nn.init.eye_(conv.weight.view(4, 4))
    norm = 1 / math.sqrt(1 + 1e-5)
    pixel, regions = torch.tensor([1.0, 0.0, 2.0, 0.0]), torch.tensor([[1.0, 3.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])

    with torch.no_grad():
        context = attention(pixel.view(1, 4, 1, 1), regions.T.reshape(1, 4, 2, 1))

    # Scores 1 and 2, divided by the root of 4 channels.
    first = math.exp(1 / 2) / (math.exp(1 / 2) + math.exp(2 / 2))
    expected = first * regions[0] + (1 - first) * regions[1]
    assert torch.allclose(context.flatten(), expected * norm**2, atol=1e-4)


def test_the_logits_of_the_soft_regions_follow_in_training_only() -> None:
    model = build()
    images = torch.rand(2, 3, 33, 47)

    with torch.no_grad():
        in_evaluation = model.head_logits(images)
        in_training = model.train().head_logits(images)

    assert [logits.shape for logits in in_evaluation] == [(2, 3, 9, 12)]
    assert [logits.shape for logits in in_training] == [(2, 3, 9, 12), (2, 3, 9, 12)]


def test_two_crops_train_every_parameter() -> None:
    model = build().train()

    logits, soft_regions = model.head_logits(torch.rand(2, 3, 64, 64))
    (logits.square().mean() + soft_regions.square().mean()).backward()

    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_the_main_logits_teach_the_soft_regions() -> None:
    model = build().train()

    model.head_logits(torch.rand(2, 3, 32, 32))[0].square().mean().backward()

    gradient = model.soft_regions.classifier.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 1e-9


def test_one_pixel_has_logits() -> None:
    with torch.no_grad():
        assert build()(torch.rand(1, 3, 1, 1)).isfinite().all()
