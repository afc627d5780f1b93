from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pixelwise.backbones.hrnet import join
from pixelwise.models import build_model
from pixelwise.models.hrnet import HRNet
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.hrnet import HRNetSpec


def build(variant: str = "w18-small-v1", num_classes: int = 3) -> HRNet:
    torch.manual_seed(0)
    model = build_model(HRNetSpec(variant=variant), num_classes)  # type: ignore[arg-type]
    assert isinstance(model, HRNet)
    return model.eval()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("variant", "parameters", "gmacs"),
    [
        ("w18", 9_641_119, "147.40"),
        ("w18-small-v1", 1_540_819, "33.39"),
        ("w18-small-v2", 3_939_579, "76.86"),
        ("w48", 65_859_379, "747.51"),
    ],
)
def test_parameters_and_multiplications_are_the_original_s(variant: str, parameters: int, gmacs: str) -> None:
    with torch.device("meta"):
        counted = complexity(build(variant, 19), 1024, 2048)

    assert counted.parameters == parameters
    assert f"{counted.gmacs:.2f}" == gmacs


def test_logits_are_enlarged_with_aligned_corners() -> None:
    model = build()
    images = torch.rand(1, 3, 33, 47)

    with torch.no_grad():
        (logits,) = model.head_logits(images)
        enlarged = model(images)

    assert logits.shape == (1, 3, 9, 12)
    assert torch.equal(enlarged, F.interpolate(logits, size=(33, 47), mode="bilinear", align_corners=True))
    # An aligned corner keeps its value.
    assert torch.allclose(enlarged[..., -1, -1], logits[..., -1, -1])


def test_the_head_is_two_pointwise_convolutions_with_normalisation_between() -> None:
    model = build()
    head = model.head
    torch.nn.init.normal_(head.mix.norm.running_mean)  # type: ignore[arg-type]
    images = torch.rand(1, 3, 32, 32)

    with torch.no_grad():
        joined = join(model.encoder(images))
        mixed = F.conv2d(joined, head.mix.conv.weight, head.mix.conv.bias)
        mean = head.mix.norm.running_mean.view(1, -1, 1, 1)  # type: ignore[union-attr]
        mixed = F.relu((mixed - mean) / (1 + 1e-5) ** 0.5)
        expected = F.conv2d(mixed, head.classifier.weight, head.classifier.bias)
        (logits,) = model.head_logits(images)

    assert joined.shape[1] == 16 + 32 + 64 + 128
    assert torch.allclose(logits, expected, atol=1e-5)


def test_there_are_no_auxiliary_logits_in_training() -> None:
    assert len(build().train().head_logits(torch.rand(2, 3, 32, 32))) == 1
