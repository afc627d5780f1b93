from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelwise.models import build_model
from pixelwise.models.fpn import FPN, FeaturePyramid, SemanticBranch
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.fpn import FPNSpec


def build(encoder: str = "resnet18", channels: int = 32, head_channels: int = 32) -> FPN:
    torch.manual_seed(0)
    model = build_model(FPNSpec(encoder=encoder, channels=channels, head_channels=head_channels), num_classes=3)
    assert isinstance(model, FPN)
    return model.eval()


def test_the_decoder_has_the_published_layers() -> None:
    with torch.device("meta"):
        model = build("resnet50", 256, 128)

    parameters = complexity(model, 64, 64).parameters - sum(p.numel() for p in model.encoder.parameters())  # type: ignore[attr-defined]

    laterals = sum(channels * 256 + 256 for channels in (256, 512, 1024, 2048))
    smoothing = 4 * (9 * 256 * 256 + 256)
    # Branches of 1, 1, 2 and 3 convolutions without bias, each with a normalisation of 2 * 128.
    branches = 4 * 9 * 256 * 128 + 3 * 9 * 128 * 128 + 7 * 2 * 128
    assert parameters == laterals + smoothing + branches + 128 * 3 + 3


def test_the_pyramid_adds_the_repeated_coarser_scale_before_smoothing() -> None:
    pyramid = FeaturePyramid((1, 1), 1)
    with torch.no_grad():
        for conv in (*pyramid.laterals, *pyramid.smoothing):
            nn.init.dirac_(conv.weight)
        pyramid.smoothing[0].weight.mul_(10)

    fine, coarse = pyramid((torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([[[[5.0, 7.0]]]])))

    assert fine.flatten().tolist() == [60, 70, 100]  # 10 * (1 + 5, 2 + 5, 3 + 7)
    assert coarse.flatten().tolist() == [5, 7]


def test_a_branch_convolves_before_each_doubling_and_once_without_any() -> None:
    none, one, three = (SemanticBranch(64, 128, doublings) for doublings in (0, 1, 3))

    assert [len(branch.blocks) for branch in (none, one, three)] == [1, 1, 3]
    assert [block[0].in_channels for block in three.blocks] == [64, 128, 128]
    assert all(block[1].num_groups == 32 for block in three.blocks)
    assert none(torch.rand(1, 64, 3, 3), ()).shape == (1, 128, 3, 3)
    assert three(torch.rand(1, 64, 2, 2), ((3, 4), (5, 7), (10, 14))).shape == (1, 128, 10, 14)


@pytest.mark.parametrize(("channels", "groups"), [(128, 32), (64, 32), (32, 16), (24, 4), (5, 1)])
def test_no_group_has_a_single_channel(channels: int, groups: int) -> None:
    branch = SemanticBranch(8, channels, 0)

    assert branch.blocks[0][1].num_groups == groups  # type: ignore[index]
    assert branch(torch.rand(1, 8, 1, 1), ()).isfinite().all()


def test_logits_are_the_classified_sum_of_the_branches() -> None:
    model = build()
    outputs: list[torch.Tensor] = []
    for branch in model.branches:
        branch.register_forward_hook(lambda module, inputs, output: outputs.append(output))

    with torch.no_grad():
        (logits,) = model.head_logits(torch.rand(1, 3, 64, 96))

    assert [output.shape for output in outputs] == [(1, 32, 16, 24)] * 4
    assert torch.allclose(logits, model.classifier(sum(outputs)))


@pytest.mark.parametrize(
    "encoder",
    [
        "resnet18",
        "convnext_femto",
        "mobilenetv3_small_100",
        "regnetx_004",
        "mit_b0",
        "vit_tiny_patch16_224",
        "mobilenet_v3_large_dilated",
    ],
)
def test_any_encoder_works_at_any_size_and_learns(encoder: str) -> None:
    model = build(encoder)

    with torch.no_grad():
        (logits,) = model.head_logits(torch.rand(1, 3, 33, 47))
        (smallest,) = model.head_logits(torch.rand(1, 3, 1, 1))
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        if hasattr(module, "drop_path") and isinstance(module.drop_path, float):
            module.drop_path = 0.0
    model.head_logits(torch.rand(2, 3, 64, 64))[0].square().mean().backward()

    assert (logits.shape, smallest.shape) == ((1, 3, 9, 12), (1, 3, 1, 1))
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.heavy
def test_it_can_be_exported() -> None:
    model, images = build(), torch.rand(1, 3, 33, 47)

    exported = torch.export.export(model, (images,), strict=False)

    with torch.no_grad():
        assert torch.allclose(exported.module()(images), model(images), atol=1e-5)
