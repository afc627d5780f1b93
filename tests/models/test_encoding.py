"""Common behaviour of the families that put a head on any encoder."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.errors import RecipeError
from pixelwise.models.building import build_model
from pixelwise.models.deeplabv3 import DeepLabV3
from pixelwise.models.deeplabv3plus import DeepLabV3Plus
from pixelwise.models.fcn import FCN
from pixelwise.models.lraspp import LRASPP
from pixelwise.models.pspnet import PSPNet
from pixelwise.recipes.families.deeplabv3 import DeepLabV3Spec
from pixelwise.recipes.families.deeplabv3plus import DeepLabV3PlusSpec
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.lraspp import LRASPPSpec
from pixelwise.recipes.families.pspnet import PSPNetSpec
from pixelwise.recipes.schema.model import Spec

DILATED = {
    "fcn": FCNSpec(encoder="resnet18", output_stride=8, channels=16, auxiliary_channels=8),
    "pspnet": PSPNetSpec(encoder="resnet18", output_stride=8, channels=16, auxiliary_channels=8),
    "deeplabv3": DeepLabV3Spec(encoder="resnet18", output_stride=16, channels=16, auxiliary_channels=8),
    "deeplabv3plus": DeepLabV3PlusSpec(encoder="resnet18", channels=16, low_level_channels=8),
    "lraspp": LRASPPSpec(channels=16),
}
STRIDES = {"fcn": 8, "pspnet": 8, "deeplabv3": 16, "deeplabv3plus": 4, "lraspp": 8}
PADDED = {
    "fcn": FCNSpec(encoder="convnext_atto", channels=8),
    "pspnet": PSPNetSpec(encoder="convnext_atto", channels=8),
    "deeplabv3": DeepLabV3Spec(encoder="convnext_atto", channels=8),
    "deeplabv3plus": DeepLabV3PlusSpec(encoder="convnext_atto", output_stride=None, channels=8),
    "lraspp": LRASPPSpec(encoder="convnext_atto", channels=8),
}
"""The same families on an encoder that requires multiples of 32."""


def test_each_spec_builds_its_family() -> None:
    with torch.device("meta"):
        built = [type(build_model(spec, 3)) for spec in DILATED.values()]

    assert built == [FCN, PSPNet, DeepLabV3, DeepLabV3Plus, LRASPP]


@pytest.mark.parametrize("family", DILATED)
def test_logits_cover_the_image_at_the_stride_of_the_head(family: str) -> None:
    model = build_model(DILATED[family], 5).eval()
    stride = STRIDES[family]

    for height, width in ((1, 1), (33, 47), (64, 32)):
        with torch.no_grad():
            outputs = model.head_logits(torch.rand(1, 3, height, width))
        assert [tuple(logits.shape) for logits in outputs] == [(1, 5, -(-height // stride), -(-width // stride))]
        assert outputs[0].isfinite().all()


@pytest.mark.parametrize("family", DILATED)
def test_training_reaches_every_parameter_and_adds_the_auxiliary_head(family: str) -> None:
    torch.manual_seed(0)
    model = build_model(DILATED[family], 5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 1.0)

    outputs = model.head_logits(torch.rand(2, 3, 64, 64))
    sum(logits.square().mean() for logits in outputs).backward()  # type: ignore[union-attr]

    # The auxiliary head reads the feature map before the coarsest, which is dilated at output stride 8 only.
    auxiliary = {"fcn": [8], "pspnet": [8], "deeplabv3": [16]}.get(family, [])
    assert [64 // logits.shape[-1] for logits in outputs] == [STRIDES[family], *auxiliary]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("family", PADDED)
def test_an_encoder_of_multiples_sees_a_padded_image_and_logits_are_cropped(family: str) -> None:
    torch.manual_seed(0)
    model = build_model(PADDED[family], 3).eval()
    images = torch.rand(1, 3, 33, 47)

    with torch.no_grad():
        (logits,) = model.head_logits(images)
        (padded,) = model.head_logits(F.pad(images, (0, 17, 0, 31), mode="replicate"))
    stride = 64 // padded.shape[-1]

    assert logits.shape == (1, 3, -(-33 // stride), -(-47 // stride))
    assert torch.equal(logits, padded[..., : logits.shape[-2], : logits.shape[-1]])
    assert stride == {"deeplabv3plus": 4, "lraspp": 8}.get(family, 32)


@pytest.mark.heavy
@pytest.mark.parametrize("family", DILATED)
def test_it_can_be_exported(family: str) -> None:
    model = build_model(DILATED[family], 3).eval()
    images = torch.rand(1, 3, 33, 47)

    exported = torch.export.export(model, (images,), strict=False)

    with torch.no_grad():
        assert torch.allclose(exported.module()(images), model(images), atol=1e-5)


def test_an_auxiliary_head_needs_its_feature_map() -> None:
    spec = DeepLabV3Spec(encoder="resnet18", auxiliary_channels=8, auxiliary_feature=5)

    with pytest.raises(RecipeError, match=r"feature map 5.*'resnet18' has 5") as caught:
        build_model(spec, 3)

    assert caught.value.code == "R203"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (FCNSpec(encoder="resnet18", convolutions=-1), r"model\.convolutions is -1"),
        (PSPNetSpec(encoder="resnet18", bins=(1, 0)), r"model\.bins is \[1, 0\]"),
        (DeepLabV3Spec(encoder="resnet18", rates=(0,)), r"model\.rates is \[0\]"),
        (DeepLabV3PlusSpec(encoder="resnet18", rates=(-6,)), r"model\.rates is \[-6\]"),
    ],
)
def test_values_out_of_range_are_refused(spec: Spec, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        build_model(spec, 3)

    assert caught.value.code == "R203"


@pytest.mark.parametrize(
    "spec", [DeepLabV3PlusSpec(encoder="regnetx_002", output_stride=None), LRASPPSpec(encoder="regnetx_002")]
)
def test_any_encoder_with_the_needed_stride_will_do(spec: Spec) -> None:
    with torch.device("meta"):
        assert build_model(spec, 3)(torch.zeros(2, 3, 64, 64)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    "spec",
    [
        FCNSpec(encoder="vit_tiny_patch16_224", channels=8),
        PSPNetSpec(encoder="vit_tiny_patch16_224", channels=8, auxiliary_channels=8),
        DeepLabV3Spec(encoder="vit_tiny_patch16_224", channels=8, auxiliary_channels=8),
        LRASPPSpec(encoder="vit_tiny_patch16_224", channels=8),
    ],
)
def test_a_transformer_gets_no_layers_for_scales_that_nobody_reads(spec: Spec) -> None:
    model = build_model(spec, 3)

    outputs = model.head_logits(torch.rand(2, 3, 32, 32))
    sum(logits.square().mean() for logits in outputs).backward()  # type: ignore[union-attr]

    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_features_of_the_needed_stride_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    class Coarse(nn.Module):
        name, channels, strides, multiple = "coarse", (4, 4), (16, 32), 32

    for family, spec, stride in (
        ("deeplabv3plus", DeepLabV3PlusSpec(encoder="coarse"), 4),
        ("lraspp", LRASPPSpec(encoder="coarse"), 8),
    ):
        monkeypatch.setattr(f"pixelwise.models.{family}.build_encoder", lambda *_, **__: Coarse())
        with pytest.raises(RecipeError, match=f"stride {stride};.*'coarse'.* 16, 32") as caught:
            build_model(spec, 3)
        assert caught.value.code == "R207"


def test_dropout_is_the_original_s() -> None:
    def dropouts(model: nn.Module) -> list[tuple[type, float]]:
        found = [module for module in model.modules() if isinstance(module, nn.Dropout | nn.Dropout2d) and module.p]
        return [(type(module), module.p) for module in found]

    with torch.device("meta"):
        sssegmentation = FCN(FCNSpec(encoder="resnet18", auxiliary_channels=8), ("a", "b"))
        torchvision = FCN(FCNSpec(encoder="resnet18", convolutions=1, auxiliary_channels=8), ("a", "b"))
        pspnet = PSPNet(PSPNetSpec(encoder="resnet18", auxiliary_channels=8), ("a", "b"))
        deeplabv3 = DeepLabV3(DeepLabV3Spec(encoder="resnet18", auxiliary_channels=8), ("a", "b"))

    assert dropouts(sssegmentation) == dropouts(pspnet) == [(nn.Dropout2d, 0.1)] * 2
    assert dropouts(torchvision) == [(nn.Dropout, 0.1)] * 2
    assert dropouts(deeplabv3) == [(nn.Dropout, 0.5), (nn.Dropout, 0.1)]
