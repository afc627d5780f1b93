from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import ENCODERS, SOURCES, build_encoder, register_encoder, register_encoders
from pixelwise.backbones.mit import MiT
from pixelwise.backbones.timm import TimmEncoder, is_model, models
from pixelwise.backbones.vit import ViTEncoder
from pixelwise.errors import PixelwiseWarning, RecipeError
from pixelwise.models import build_model
from pixelwise.recipes.families.fcn import FCNSpec


@pytest.mark.parametrize(
    ("name", "kind"),
    [("mit_b0", MiT), ("resnet18", TimmEncoder), ("convnext_atto", TimmEncoder), ("vit_tiny_patch16_224", ViTEncoder)],
)
def test_a_name_decides_on_the_kind_of_encoder(name: str, kind: type) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name)

    assert type(encoder) is kind
    assert encoder.name == name


def test_an_output_stride_reaches_the_encoder() -> None:
    with torch.device("meta"):
        assert build_encoder("resnet18", 8).strides == (2, 4, 8, 8, 8)
        assert build_encoder("vit_tiny_patch16_224", 16).strides == (4, 8, 16)
        assert build_encoder("mit_b0", 32).strides == (4, 8, 16, 32)


def test_mit_has_no_dilated_form() -> None:
    with pytest.raises(RecipeError, match=r"'mit_b0'.* 32, not 16") as caught:
        build_encoder("mit_b0", 16)

    assert caught.value.code == "R207"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("convnext_tni", "convnext_tiny"),
        ("mit-b3", "mit_b3"),
        ("mobilenet_v3_large_dilatd", "mobilenet_v3_large_dilated"),
        ("vit_smal_patch16_dinov3", "vit_small_patch16_dinov3"),
    ],
)
def test_a_mistyped_name_is_an_error_with_near_misses_of_all_kinds(name: str, nearest: str) -> None:
    with pytest.raises(RecipeError, match=f"'{name}'.*'{nearest}'") as caught:
        build_encoder(name)

    assert caught.value.code == "R207"
    assert all(own in caught.value.help for own in ENCODERS.own())


class Tiny(Encoder):
    """One convolution of stride 4."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.name, self.channels, self.strides, self.multiple = "tiny", (8,), (4,), 1
        self.conv = nn.Conv2d(in_channels, 8, kernel_size=3, stride=4, padding=1)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.conv(images)]


@pytest.fixture
def registered() -> Iterator[None]:
    """Unregisters the encoders that a test registers."""
    before = set(ENCODERS.all()), set(SOURCES.all())
    yield
    for registry, names in zip((ENCODERS, SOURCES), before, strict=True):
        for name in set(registry) - names:
            registry.discard(name)


@pytest.mark.usefixtures("registered")
def test_a_registered_encoder_is_built_by_its_name() -> None:
    @register_encoder("tiny", "tiny_too")
    def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Encoder:
        return Tiny(in_channels)

    assert build_encoder("tiny_too", in_channels=5).get_parameter("conv.weight").shape == (8, 5, 3, 3)
    model = build_model(FCNSpec(encoder="tiny", channels=8), num_classes=3)
    assert model(torch.rand(1, 3, 33, 47)).shape == (1, 3, 33, 47)
    with pytest.raises(RecipeError) as caught:
        register_encoder("mit_b0")(build)
    assert caught.value.code == "R234"


@pytest.mark.usefixtures("registered")
def test_a_source_builds_every_name_that_it_recognises() -> None:
    @register_encoders("acme", matches=lambda name: name.startswith("acme/"), names=lambda: ["acme/tiny"])
    def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Encoder:
        return Tiny(in_channels)

    assert isinstance(build_encoder("acme/anything"), Tiny)
    with pytest.raises(RecipeError, match="'acme/tiny'"):
        build_encoder("acm/tiny")


@pytest.mark.usefixtures("registered")
def test_a_recipe_means_the_same_whatever_others_register() -> None:
    @register_encoder("resnet18")
    def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Encoder:
        return Tiny(in_channels)

    with pytest.warns(PixelwiseWarning) as caught:
        assert isinstance(build_encoder("resnet18"), TimmEncoder)
    assert [warned.message.code for warned in caught] == ["W241"]


def test_timm_s_models_are_recognised_by_their_names() -> None:
    assert is_model("resnet18")
    assert not is_model("mit_b0")
    assert "resnet18" in models()


def test_telling_encoders_apart_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    first = build_encoder("resnet18").state_dict()
    torch.manual_seed(0)
    second = TimmEncoder("resnet18").state_dict()

    assert all(torch.equal(first[key], second[key]) for key in second)
