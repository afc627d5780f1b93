from __future__ import annotations

import pytest
import torch

from pixelwise.models.pspnet import PSPNet
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.pspnet import PSPNetSpec


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("encoder", "output_stride", "num_classes", "size", "parameters", "auxiliary", "gmacs"),
    [
        ("resnet50c", 8, 21, (512, 512), 51_342_218, 4_730_389, 178.33),
        ("resnet50c", 16, 150, (512, 512), 51_474_572, 4_796_566, 53.14),
        ("resnet101c", 16, 19, (512, 1024), 70_332_294, 4_729_363, 144.87),
    ],
)
def test_parameters_and_multiplications_are_the_original_s(
    encoder: str,
    output_stride: int,
    num_classes: int,
    size: tuple[int, int],
    parameters: int,
    auxiliary: int,
    gmacs: float,
) -> None:
    spec = PSPNetSpec(encoder=encoder, output_stride=output_stride, auxiliary_channels=512)  # type: ignore[arg-type]
    with torch.device("meta"):
        model = PSPNet(spec, [f"class_{index}" for index in range(num_classes)])

    counted = complexity(model, *size)

    assert (counted.parameters, counted.auxiliary_parameters) == (parameters, auxiliary)
    assert counted.gmacs == pytest.approx(gmacs, rel=2e-4)


def test_every_position_sees_the_whole_image() -> None:
    torch.manual_seed(0)
    # One block per stage: the encoder alone does not see from corner to corner.
    model = PSPNet(PSPNetSpec(encoder="resnet10t", output_stride=8, channels=16), ("a", "b")).eval()
    images = torch.rand(1, 3, 512, 32)
    changed = images.clone()
    changed[..., :16, :16] = 0

    with torch.no_grad():
        features = [model.encoder(batch)[-1][..., -1, -1] for batch in (images, changed)]
        (logits,), (other,) = model.head_logits(images), model.head_logits(changed)

    assert torch.equal(*features)
    assert not torch.equal(logits[..., -1, -1], other[..., -1, -1])
