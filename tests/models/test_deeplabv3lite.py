from __future__ import annotations

import pytest
import torch

from pixelwise.models.deeplabv3lite import DeepLabV3Lite, build
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.lite import DeepLabV3LiteSpec

Size = tuple[int, int]


def network(num_classes: int, spec: DeepLabV3LiteSpec | None = None) -> DeepLabV3Lite:
    torch.manual_seed(0)
    return build(spec or DeepLabV3LiteSpec(), tuple(f"class_{index}" for index in range(num_classes))).eval()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("num_classes", "size", "parameters", "gmacs"),
    [
        (32, (512, 512), 2_428_976, 3.2161792),
        (21, (512, 512), 2_425_632, 3.161391),
        (19, (384, 768), 2_425_024, 3.545358),
    ],
)
def test_it_costs_what_the_original_costs(num_classes: int, size: Size, parameters: int, gmacs: float) -> None:
    with torch.device("meta"):
        model = network(num_classes)

    cost = complexity(model, *size)

    assert cost.parameters == parameters
    assert cost.gmacs == pytest.approx(gmacs, rel=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 96)])
def test_logits_have_stride_4(size: Size) -> None:
    with torch.no_grad():
        (logits,) = network(3).head_logits(torch.rand(1, 3, *size))

    assert logits.shape == (1, 3, -(-size[0] // 4), -(-size[1] // 4))


def test_the_shortcut_follows_the_pyramid_pooling() -> None:
    model = network(3)
    seen = []
    model.prediction.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.rand(1, 3, 32, 32)

    with torch.no_grad():
        model(images)
        shortcut = model.shortcut(model.encoder(images)[1])

    assert seen[0].shape[1] == 256 + 48
    assert torch.equal(seen[0][:, 256:], shortcut)


def test_a_grouped_encoder_makes_a_grouped_decoder() -> None:
    with torch.device("meta"):
        model = network(3, DeepLabV3LiteSpec(encoder="regnetx_008"))

    assert model.prediction.grouped.conv.weight.shape == (304, 16, 3, 3)
