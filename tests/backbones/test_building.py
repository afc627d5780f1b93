from __future__ import annotations

import pytest
import torch

from pixelwise.backbones.building import OWN_ENCODERS, build_encoder
from pixelwise.backbones.mit import MiT
from pixelwise.backbones.timm import TimmEncoder
from pixelwise.backbones.vit import ViTEncoder
from pixelwise.errors import RecipeError


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
    with pytest.raises(RecipeError, match="'mit_b0' has output stride 32, not 16") as caught:
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
    with pytest.raises(RecipeError, match=f"no model named '{name}'; did you mean '{nearest}'") as caught:
        build_encoder(name)

    assert caught.value.code == "R207"
    assert all(own in caught.value.help for own in OWN_ENCODERS)


def test_telling_encoders_apart_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    first = build_encoder("resnet18").state_dict()
    torch.manual_seed(0)
    second = TimmEncoder("resnet18").state_dict()

    assert all(torch.equal(first[key], second[key]) for key in second)
