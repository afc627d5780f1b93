from __future__ import annotations

import importlib

import pytest
import timm
import torch

from pixelwise.backbones.timm import TimmEncoder, same_padding, short_paddings
from pixelwise.errors import RecipeError


@pytest.fixture(scope="module")
def resnet18() -> TimmEncoder:
    return TimmEncoder("resnet18").eval()


def test_resnet18_gives_five_feature_maps_from_fine_to_coarse(resnet18: TimmEncoder) -> None:
    with torch.no_grad():
        features = resnet18(torch.zeros(2, 3, 64, 96))

    assert resnet18.strides == (2, 4, 8, 16, 32)
    assert resnet18.channels == (64, 64, 128, 256, 512)
    assert [tuple(feature.shape) for feature in features] == [
        (2, 64, 32, 48), (2, 64, 16, 24), (2, 128, 8, 12), (2, 256, 4, 6), (2, 512, 2, 3),
    ]  # fmt: skip


def test_an_encoder_that_rounds_up_takes_any_size(resnet18: TimmEncoder) -> None:
    with torch.no_grad():
        features = resnet18(torch.zeros(1, 3, 33, 47))

    assert resnet18.multiple == 1
    assert [tuple(feature.shape[-2:]) for feature in features] == [(17, 24), (9, 12), (5, 6), (3, 3), (2, 2)]


def test_an_encoder_that_cuts_off_needs_multiples_of_its_coarsest_stride() -> None:
    assert TimmEncoder("convnext_atto").multiple == 32


def test_an_encoder_starts_in_training_mode_with_untouched_statistics() -> None:
    encoder = TimmEncoder("resnet18")

    state = encoder.state_dict()

    assert encoder.training
    assert all(module.training for module in encoder.modules())
    assert int(state["network.bn1.num_batches_tracked"]) == 0
    assert torch.equal(state["network.bn1.running_mean"], torch.zeros(64))


def test_probing_the_encoder_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    first = TimmEncoder("resnet18").state_dict()
    after_first = torch.rand(1)
    torch.manual_seed(0)
    second = TimmEncoder("resnet18").state_dict()

    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(after_first, torch.rand(1))


def test_an_unknown_name_is_an_error_with_near_misses() -> None:
    with pytest.raises(RecipeError, match=r"'resnet-18'.*'resnet18'") as caught:
        TimmEncoder("resnet-18")

    assert caught.value.code == "R207"
    assert "list_models" in caught.value.help


def test_a_network_without_increasing_strides_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"'vit_tiny_patch16_224'.*strides 16, 16, 16;") as caught:
        TimmEncoder("vit_tiny_patch16_224")

    assert caught.value.code == "R207"


def test_a_network_for_one_image_size_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"'efficientformer_l1'.*64x96 \(HxW\)") as caught:
        TimmEncoder("efficientformer_l1")

    assert caught.value.code == "R207"


@pytest.mark.parametrize("name", ["levit_128s", "hiera_tiny_224"])
def test_a_network_with_a_fixed_grid_says_which_size_it_is_made_for(name: str) -> None:
    with torch.device("meta"), pytest.raises(RecipeError, match=f"'{name}'.*images of 224x224") as caught:
        TimmEncoder(name)

    assert caught.value.code == "R207"


@pytest.fixture(scope="module")
def swin_tiny() -> TimmEncoder:
    torch.manual_seed(0)
    return TimmEncoder("swin_tiny_patch4_window7_224").eval()


def test_a_transformer_over_windows_takes_any_size_and_gives_channels_first(swin_tiny: TimmEncoder) -> None:
    with torch.no_grad():
        features = swin_tiny(torch.rand(2, 3, 64, 96))

    assert (swin_tiny.strides, swin_tiny.channels, swin_tiny.multiple) == ((4, 8, 16, 32), (96, 192, 384, 768), 32)
    assert [tuple(feature.shape) for feature in features] == [
        (2, 96, 16, 24), (2, 192, 8, 12), (2, 384, 4, 6), (2, 768, 2, 3),
    ]  # fmt: skip


@pytest.mark.heavy
def test_a_transformer_over_windows_computes_what_timm_s_does_at_its_own_size(swin_tiny: TimmEncoder) -> None:
    theirs = timm.create_model("swin_tiny_patch4_window7_224", features_only=True).eval()
    theirs.load_state_dict(swin_tiny.network.state_dict())
    images = torch.rand(1, 3, 224, 224)

    with torch.no_grad():
        expected, found = theirs(images), swin_tiny(images)

    for ours, map_of_theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, map_of_theirs.permute(0, 3, 1, 2), atol=1e-5)


@pytest.mark.parametrize("name", ["swinv2_tiny_window8_256", "swinv2_cr_tiny_ns_224", "mambaout_femto"])
def test_others_like_it_are_encoders_too(name: str) -> None:
    with torch.device("meta"):
        encoder = TimmEncoder(name).eval()
        features = encoder(torch.zeros(1, 3, 64, 32))

    assert [tuple(feature.shape) for feature in features] == [
        (1, channels, 64 // stride, 32 // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5, 7])
def test_paddings_are_timms(kernel_size: int, stride: int):
    theirs = importlib.import_module("timm.layers.padding").get_same_padding
    for dilation in (1, 2):
        for length in range(1, 30):
            wanted = theirs(length, kernel_size, stride, dilation)
            assert int(same_padding(length, kernel_size, stride, dilation)) == wanted


def test_timms_paddings_return_after_an_export():
    padding = importlib.import_module("timm.layers.padding")
    before = padding.get_same_padding

    def fail() -> None:
        with short_paddings():
            assert padding.get_same_padding is same_padding
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert padding.get_same_padding is before
