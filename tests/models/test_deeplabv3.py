from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pixelwise.models.deeplabv3 import DeepLabV3
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.deeplabv3 import DeepLabV3Spec

RESNET = DeepLabV3Spec(encoder="resnet50", output_stride=8)
RESNET_WITH_AUXILIARY = DeepLabV3Spec(encoder="resnet50", output_stride=8, auxiliary_channels=256)
MOBILENET = DeepLabV3Spec(encoder="mobilenet_v3_large_dilated", auxiliary_channels=10, auxiliary_feature=2)


def on_meta(spec: DeepLabV3Spec, num_classes: int) -> DeepLabV3:
    with torch.device("meta"):
        return DeepLabV3(spec, [f"class_{index}" for index in range(num_classes)])


@pytest.mark.parametrize(
    ("spec", "num_classes", "size", "parameters", "gmacs"),
    [
        (RESNET, 19, (520, 1040), 39_638_355, 337.4576),
        (RESNET_WITH_AUXILIARY, 21, (520, 520), 42_004_074, 168.7312),
        (MOBILENET, 21, (520, 520), 11_029_328, 10.4364),
    ],
)
def test_parameters_and_multiplications_are_torchvision_s(
    spec: DeepLabV3Spec, num_classes: int, size: tuple[int, int], parameters: int, gmacs: float
) -> None:
    counted = complexity(on_meta(spec, num_classes), *size)

    assert counted.parameters == parameters
    assert counted.gmacs == pytest.approx(gmacs, abs=5e-5)


def test_with_the_auxiliary_head_the_multiplications_are_the_published_ones() -> None:
    model = on_meta(RESNET_WITH_AUXILIARY, 21)
    images = torch.zeros(2, 3, 520, 520, device="meta")

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        outputs = model.train().head_logits(images)

    assert len(outputs) == 2
    assert f"{counter.get_total_flops() / 2 / 2 / 1e9:.3f}" == "178.722"


def test_the_auxiliary_head_reads_the_said_feature_map() -> None:
    model = on_meta(MOBILENET, 21).train()

    main, auxiliary = model.head_logits(torch.zeros(2, 3, 64, 96, device="meta"))

    assert main.shape == (2, 21, 4, 6)
    assert auxiliary.shape == (2, 21, 8, 12)
    assert model.auxiliary is not None
    assert model.auxiliary.convs[0].conv.weight.shape == (10, 40, 3, 3)  # type: ignore[union-attr]
