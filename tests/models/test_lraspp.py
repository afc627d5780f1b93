from __future__ import annotations

import torch

from pixelwise.models.lraspp import LRASPP
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.lraspp import LRASPPSpec


def test_parameters_and_multiplications_are_torchvision_s() -> None:
    with torch.device("meta"):
        model = LRASPP(LRASPPSpec(), [f"class_{index}" for index in range(21)])

    counted = complexity(model, 520, 520)

    assert counted.parameters == 3_221_538
    assert f"{counted.gmacs:.4f}" == "2.0862"


def test_a_closed_gate_leaves_the_finer_features_alone() -> None:
    torch.manual_seed(0)
    model = LRASPP(LRASPPSpec(encoder="resnet18", channels=8), ("a", "b", "c")).eval()
    # The features are not negative, so the gate's mean is far below zero.
    torch.nn.init.constant_(model.gate.weight, -1e6)
    images = torch.rand(1, 3, 40, 56)

    with torch.no_grad():
        (logits,) = model.head_logits(images)
        nothing = model.high_classifier(torch.zeros(1, 8, 1, 1))
        expected = model.low_classifier(model.encoder(images)[2]) + nothing

    assert logits.shape == (1, 3, 5, 7)
    assert torch.allclose(logits, expected, atol=1e-6)
