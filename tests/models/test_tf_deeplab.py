from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.models.tf_deeplab import GatedHead, PoolingHead, TFDeepLab, build
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.tf_deeplab import TFDeepLabSpec

Size = tuple[int, int]


def network(encoder: str, output_stride: int, num_classes: int = 3) -> TFDeepLab:
    torch.manual_seed(0)
    spec = TFDeepLabSpec(encoder=encoder, output_stride=output_stride)  # type: ignore[arg-type]
    return build(spec, tuple(f"class_{index}" for index in range(num_classes))).eval()


@pytest.mark.parametrize(
    ("encoder", "output_stride", "num_classes", "size", "convolutions", "gmacs"),
    [
        ("mobilenetv2_050", 8, 21, (512, 512), "0.680", 2.7353),
        ("mobilenetv2_100", 8, 21, (512, 512), "2.080", 8.5649),
        ("mobilenetv2_100", 16, 19, (1025, 2049), "2.080", 21.2331),
        # The reference has one pooling window in all, not 3 x 9.
        # 24 squeezed channels instead of the 16 that give 1.488: 8 more, each with 72 + 72 weights and a bias.
        ("mobilenetv3_large_seg", 32, 19, (1025, 2049), "1.489", 7.581),
        ("xception65", 8, 21, (512, 512), "40.853", 171.594),
        ("xception65", 16, 19, (1025, 2049), "40.852", 418.376),
    ],
)
def test_it_costs_what_reconstructions_of_the_published_code_cost(
    encoder: str, output_stride: int, num_classes: int, size: Size, convolutions: str, gmacs: float
) -> None:
    with torch.device("meta"):
        model = network(encoder, output_stride, num_classes)

    cost = complexity(model, *size)
    in_norms = sum(
        parameter.numel()
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in module.parameters()
    )

    assert f"{(cost.parameters - in_norms) / 1e6:.3f}" == convolutions
    # Every normalisation has a scale and a shift that are trained.
    assert in_norms == sum(2 * module.num_features for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    assert cost.gmacs == pytest.approx(gmacs, rel=3e-4)


@pytest.mark.parametrize(
    ("encoder", "output_stride", "stride"),
    [
        ("mobilenetv2_050", 8, 8),
        ("mobilenetv2_100", 32, 32),
        ("mobilenetv3_large_seg", 32, 8),
        ("mobilenetv3_large_seg", 8, 8),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 50)])
def test_logits_have_the_stride_of_the_head(encoder: str, output_stride: int, stride: int, size: Size) -> None:
    with torch.no_grad():
        (logits,) = network(encoder, output_stride).head_logits(torch.rand(1, 3, *size))

    assert logits.shape == (1, 3, -(-size[0] // stride), -(-size[1] // stride))


def test_logits_are_enlarged_with_aligned_corners() -> None:
    model = network("mobilenetv2_050", 16)
    images = torch.rand(1, 3, 65, 97)

    with torch.no_grad():
        logits, (coarse,) = model(images), model.head_logits(images)

    assert coarse.shape[-2:] == (5, 7)
    assert torch.allclose(logits[..., ::16, ::16], coarse, atol=1e-6)


def gate_of(size: Size) -> Tensor:
    """The gate of the MobileNetV3's head, before it is enlarged, for features of an image of `size`."""
    head = GatedHead(120, 480, output_stride=32, num_classes=3)
    seen = []
    head.gate.register_forward_hook(lambda _, inputs, output: seen.append(output))
    coarse, fine = (torch.zeros(1, width, -(-size[0] // s), -(-size[1] // s)) for width, s in ((480, 32), (120, 8)))
    head.eval()(fine, coarse)
    return seen[0]


def test_the_gate_looks_at_windows_as_large_as_the_training_crop() -> None:
    with torch.device("meta"):
        sizes = {size: gate_of(size).shape[-2:] for size in ((769, 769), (1025, 2049), (33, 769), (1, 1))}

    # Windows of 25 x 25 features, every 4th row and every 5th column of 33 x 65.
    assert sizes == {(769, 769): (1, 1), (1025, 2049): (3, 9), (33, 769): (1, 1), (1, 1): (1, 1)}


def test_gated_features_and_fine_features_are_classified_and_added() -> None:
    head = GatedHead(2, 3, output_stride=16, num_classes=4).eval()
    fine, coarse = torch.randn(1, 2, 9, 13), torch.randn(1, 3, 5, 7)

    with torch.no_grad():
        logits = head(fine, coarse)
        gate = F.hardsigmoid(head.gate(coarse.mean(dim=(2, 3), keepdim=True)))
        gated = F.interpolate(head.features(coarse) * gate, size=(9, 13), mode="bilinear", align_corners=True)
        expected = head.classifier(gated) + head.fine_classifier(fine)

    assert torch.allclose(logits, expected, atol=1e-6)


def test_the_rates_follow_the_output_stride() -> None:
    def rates(output_stride: int) -> set[int]:
        with torch.device("meta"):
            head = network("xception65", output_stride).head
        return {conv.dilation[0] for conv in head.modules() if isinstance(conv, nn.Conv2d)} - {1}

    assert rates(16) == {6, 12, 18}
    assert rates(8) == {12, 24, 36}


def test_normalisation_and_dropout_are_the_original_s() -> None:
    model = network("mobilenetv2_050", 8)

    def settings(part: nn.Module) -> set[tuple[float, float | None]]:
        return {(norm.eps, norm.momentum) for norm in part.modules() if isinstance(norm, nn.BatchNorm2d)}

    assert settings(model.encoder) == {(1e-3, 0.003)}
    assert settings(model.head) == {(1e-5, 0.0003)}
    assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [0.1]


def test_the_classifier_begins_near_zero() -> None:
    torch.manual_seed(0)
    head = network("mobilenetv2_050", 8).head
    assert isinstance(head, PoolingHead)

    assert 0 < head.classifier.weight.abs().max() <= 0.02
    assert head.classifier.bias is not None
    assert (head.classifier.bias == 0).all()
