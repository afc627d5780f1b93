from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.mit import Block
from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.segformer import SegFormer, SegFormerHead
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.families.segformer import SegFormerSpec

HEADS = ("mlp", "convolution")


def build(encoder: str = "mit_b0", head: str = "mlp", channels: int = 256, num_classes: int = 19) -> SegFormer:
    torch.manual_seed(0)
    spec = SegFormerSpec(encoder=encoder, head=head, channels=channels)  # type: ignore[arg-type]
    model = build_model(spec, num_classes)
    assert isinstance(model, SegFormer)
    return model.eval()


@pytest.mark.parametrize(
    ("encoder", "head", "channels", "parameters", "gmacs"),
    [
        ("mit_b0", "convolution", 256, 3_720_051, 120.96),
        ("mit_b1", "convolution", 256, 13_683_155, 239.13),
        ("mit_b2", "convolution", 256, 24_728_019, 419.01),
        pytest.param(*("mit_b3", "convolution", 256, 44_603_859, 664.76), marks=pytest.mark.heavy),
        pytest.param(*("mit_b4", "convolution", 256, 61_374_419, 942.28), marks=pytest.mark.heavy),
        pytest.param(*("mit_b5", "convolution", 256, 81_974_739, 1161.89), marks=pytest.mark.heavy),
        ("mit_b0", "mlp", 256, 3_719_027, 120.96),
        ("mit_b1", "mlp", 256, 13_682_131, 239.13),
        ("mit_b2", "mlp", 768, 27_361_235, 703.49),
        pytest.param(*("mit_b5", "mlp", 768, 84_607_955, 1446.37), marks=pytest.mark.heavy),
    ],
)
def test_parameters_and_multiplications_are_the_published_ones(
    encoder: str, head: str, channels: int, parameters: int, gmacs: float
) -> None:
    with torch.device("meta"):
        model = build(encoder, head, channels)

    cost = complexity(model, 1024, 2048)

    assert cost.parameters == parameters
    assert round(cost.gmacs, 2) == gmacs
    assert cost.auxiliary_parameters == 0


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 32)])
def test_logits_have_stride_4_and_cover_the_image(head: str, size: tuple[int, int]) -> None:
    model = build(head=head, num_classes=3)

    with torch.no_grad():
        (logits,) = model.head_logits(torch.rand(1, 3, *size))

    assert logits.shape == (1, 3, -(-size[0] // 4), -(-size[1] // 4))
    assert logits.isfinite().all()


def test_the_head_joins_projected_scales_from_fine_to_coarse_at_the_finest_one_s_size() -> None:
    head = SegFormerHead((1, 1), 1, 1, "mlp").eval()
    seen: list[Tensor] = []
    head.fusion.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        for projection, weight in zip(head.projections, (2.0, 10.0), strict=True):
            projection.weight.fill_(weight)
            projection.bias.fill_(1.0)
    coarse = torch.tensor([[[[1.0, 3.0]]]])

    head((torch.ones(1, 1, 1, 4), coarse))

    # Corners not aligned: the coarse 11 and 31 lie between the fine places.
    assert seen[0][0, :, 0].tolist() == [[3, 3, 3, 3], [11, 16, 26, 31]]


def test_projections_have_a_bias_or_a_normalisation() -> None:
    mlp, convolution = build(head="mlp").head, build(head="convolution").head

    assert all(isinstance(projection, nn.Conv2d) and projection.bias is not None for projection in mlp.projections)
    assert all(projection.conv.bias is None for projection in convolution.projections)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in mlp.modules()) == 1
    assert sum(isinstance(module, nn.BatchNorm2d) for module in convolution.modules()) == 5


def test_whole_channels_are_dropped_in_the_convolution_head_and_elements_in_the_other() -> None:
    mlp, convolution = build(head="mlp").head.dropout, build(head="convolution").head.dropout

    assert (type(mlp), mlp.p) == (nn.Dropout, 0.1)
    assert (type(convolution), convolution.p) == (nn.Dropout2d, 0.1)


@pytest.mark.parametrize(("head", "eps"), [("mlp", 1e-5), ("convolution", 1e-6)])
def test_the_encoder_s_normalisations_have_the_epsilon_of_the_head_s_code(head: str, eps: float) -> None:
    with torch.device("meta"):
        model = build(head=head)

    assert {module.eps for module in model.modules() if isinstance(module, nn.LayerNorm)} == {eps}


def test_scales_finer_than_stride_4_are_not_joined() -> None:
    model = build("resnet18", channels=16)

    assert model.stride == 4
    assert [projection.in_channels for projection in model.head.projections] == [64, 128, 256, 512]


@pytest.mark.parametrize(
    "encoder", ["mit_b0", "resnet18", "convnext_atto", "mobilenetv3_small_100", "regnetx_004", "vit_tiny_patch16_224"]
)
def test_any_encoder_works_at_any_size_and_learns(encoder: str) -> None:
    model = build(encoder, channels=32, num_classes=3)

    with torch.no_grad():
        logits = model(torch.rand(1, 3, 33, 47))
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        if isinstance(module, Block):
            module.drop_path = 0.0
    model.head_logits(torch.rand(2, 3, 64, 64))[0].square().mean().backward()

    assert logits.shape == (1, 3, 33, 47)
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_an_encoder_that_needs_multiples_sees_a_padded_image() -> None:
    model = build("convnext_atto", channels=16, num_classes=3)
    images = torch.rand(1, 3, 33, 40)

    with torch.no_grad():
        (logits,) = model.head_logits(images)
        (padded,) = model.head_logits(F.pad(images, (0, 24, 0, 31), mode="replicate"))

    assert torch.equal(logits, padded[..., :9, :10])


@pytest.mark.heavy
def test_it_can_be_exported() -> None:
    model, images = build(channels=16), torch.rand(1, 3, 33, 47)

    exported = torch.export.export(model, (images,), strict=False)

    with torch.no_grad():
        assert torch.allclose(exported.module()(images), model(images), atol=1e-5)


def test_one_scale_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    from pixelwise.backbones.vit import ViTEncoder
    from pixelwise.models import segformer

    monkeypatch.setattr(segformer, "build_encoder", lambda name, **_: ViTEncoder(name, maps=1))

    with torch.device("meta"), pytest.raises(RecipeError, match="'vit_tiny_patch16_224' has 1 ") as caught:
        build("vit_tiny_patch16_224")

    assert caught.value.code == "R207"
