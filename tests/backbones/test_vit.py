from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelwise.backbones.timm import has_one_stride
from pixelwise.backbones.vit import ChannelNorm, ViTEncoder
from pixelwise.errors import RecipeError


@pytest.fixture(scope="module")
def vit_tiny() -> ViTEncoder:
    torch.manual_seed(0)
    return ViTEncoder("vit_tiny_patch16_224").eval()


def test_one_scale_becomes_four_with_halved_channels_above_it(vit_tiny: ViTEncoder) -> None:
    with torch.no_grad():
        maps = vit_tiny(torch.rand(2, 3, 48, 80))

    assert (vit_tiny.strides, vit_tiny.channels, vit_tiny.multiple) == ((4, 8, 16, 32), (48, 96, 192, 192), 16)
    assert [tuple(map_.shape) for map_ in maps] == [(2, 48, 12, 20), (2, 96, 6, 10), (2, 192, 3, 5), (2, 192, 2, 3)]


def test_the_transformer_s_own_scale_is_its_last_block_normalised(vit_tiny: ViTEncoder) -> None:
    images = torch.rand(1, 3, 32, 48)

    with torch.no_grad():
        maps = vit_tiny(images)
        tokens = vit_tiny.network.forward_features(images)

    patches = tokens[:, 1:].transpose(1, 2).reshape(1, 192, 2, 3)  # the first token is the class's
    assert torch.equal(maps[2], patches)
    assert torch.equal(maps[3], F.max_pool2d(patches, 2, ceil_mode=True))


def test_patches_of_14_pixels_see_16_pixels_of_the_image_each() -> None:
    encoder = ViTEncoder("eva02_tiny_patch14_224", output_stride=16).eval()
    seen: list[Tensor] = []
    encoder.network.patch_embed.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images = torch.rand(1, 3, 32, 48)

    with torch.no_grad():
        maps = encoder(images)

    assert (encoder.patch, encoder.multiple, encoder.strides) == (14, 16, (4, 8, 16))
    assert torch.equal(seen[0], F.interpolate(images, size=(28, 42), mode="bilinear", align_corners=False))
    assert maps[-1].shape == (1, 192, 2, 3)


def test_only_the_maps_that_are_needed_have_layers() -> None:
    encoder = ViTEncoder("vit_tiny_patch16_224", maps=1)
    two = ViTEncoder("vit_tiny_patch16_224", output_stride=8, maps=2)

    assert (encoder.strides, encoder.channels) == ((16,), (192,))  # nothing but the transformer's own
    assert not list(encoder.enlarging.parameters())
    assert (encoder.untrained, two.untrained) == ((), ("enlarging.",))  # nothing keeps its features from being kept
    assert (two.strides, two.channels) == ((4, 8), (48, 96))


def test_a_channel_norm_normalises_over_channels() -> None:
    norm = ChannelNorm(2)

    normalised = norm(torch.tensor([1.0, 3.0, 5.0, 5.0]).reshape(2, 2, 1, 1))

    assert torch.allclose(normalised.flatten(), torch.tensor([-1.0, 1.0, 0.0, 0.0]), atol=1e-4)


@pytest.mark.parametrize("name", ["eva02_tiny_patch14_224", "xcit_nano_12_p16_224"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    encoder = ViTEncoder(name).train()

    sum(map_.square().mean() for map_ in encoder(torch.rand(2, 3, 32, 32))).backward()  # type: ignore[union-attr]

    assert [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("vit_tiny_patch16_224", True),
        ("vit_small_patch14_dinov2", True),
        ("vit_small_patch16_dinov3", True),
        ("resnet18", False),
        ("swin_tiny_patch4_window7_224", False),
    ],
)
def test_plain_transformers_are_told_from_networks_with_several_strides(name: str, one: bool) -> None:
    assert has_one_stride(name) is one


@pytest.mark.parametrize(
    "name", ["vit_small_patch14_dinov2", "vit_small_patch16_dinov3", "deit_tiny_distilled_patch16_224"]
)
def test_transformers_of_several_kinds_take_any_size(name: str) -> None:
    with torch.device("meta"):
        encoder = ViTEncoder(name).eval()
        maps = encoder(torch.zeros(1, 3, 64, 32))

    assert [tuple(map_.shape[-2:]) for map_ in maps] == [(16, 8), (8, 4), (4, 2), (2, 1)]


def test_a_transformer_for_one_image_size_says_so() -> None:
    with (
        torch.device("meta"),
        pytest.raises(RecipeError, match=r"'mixer_s16_224'.*images of 224x224") as e,
    ):
        ViTEncoder("mixer_s16_224")

    assert e.value.code == "R207"


def test_an_impossible_output_stride_is_an_error() -> None:
    with torch.device("meta"), pytest.raises(RecipeError, match=r"12; expected one of \(4, 8, 16, 32\)") as caught:
        ViTEncoder("vit_tiny_patch16_224", output_stride=12)
    assert caught.value.code == "R207"
