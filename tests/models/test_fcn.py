from __future__ import annotations

import pytest
import torch

from pixelwise.models.fcn import FCN
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.fcn import FCNSpec


def sssegmentation(encoder: str, output_stride: int) -> FCNSpec:
    return FCNSpec(encoder=encoder, output_stride=output_stride, auxiliary_channels=512)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "num_classes", "size", "parameters", "auxiliary", "gmacs"),
    [
        (sssegmentation("resnet50c", 8), 21, (512, 512), 40_066_954, 4_730_389, 149.28),
        (sssegmentation("resnet50c", 16), 150, (512, 512), 40_199_308, 4_796_566, 45.84),
        (sssegmentation("resnet101c", 16), 19, (512, 1024), 59_057_030, 4_729_363, 130.32),
        (FCNSpec(encoder="resnet50", output_stride=8, convolutions=1), 19, (520, 1040), 32_955_987, 0, 285.4429),
    ],
    ids=["r50-d8-voc-aug", "r50-d16-ade20k", "r101-d16-cityscapes", "torchvision"],
)
def test_parameters_and_multiplications_are_the_original_s(
    spec: FCNSpec, num_classes: int, size: tuple[int, int], parameters: int, auxiliary: int, gmacs: float
) -> None:
    with torch.device("meta"):
        model = FCN(spec, [f"class_{index}" for index in range(num_classes)])

    counted = complexity(model, *size)

    assert (counted.parameters, counted.auxiliary_parameters) == (parameters, auxiliary)
    assert counted.gmacs == pytest.approx(gmacs, rel=2e-4)


def test_dilations_are_contracted_at_output_stride_8() -> None:
    with torch.device("meta"):
        encoder = FCN(FCNSpec(encoder="resnet50c", output_stride=8), ("a", "b")).encoder.network  # type: ignore[attr-defined]

    for layer, first, others in (("layer2", 1, 1), ("layer3", 1, 2), ("layer4", 2, 4)):
        dilations = [block.conv2.dilation[0] for block in getattr(encoder, layer)]
        assert dilations == [first, *[others] * (len(dilations) - 1)]
    assert encoder.layer2[0].conv2.stride == (2, 2)
    assert encoder.layer2[0].conv1.stride == (1, 1)


def test_the_head_needs_no_convolution() -> None:
    model = FCN(FCNSpec(encoder="resnet18", convolutions=0), ("a", "b")).eval()

    with torch.no_grad():
        assert model(torch.rand(1, 3, 9, 17)).shape == (1, 2, 9, 17)
    assert model.head.classifier.in_channels == 512
