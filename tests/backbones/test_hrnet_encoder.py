"""HRNet's encoder against timm's network of the same layers, and one exchange of features by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.hrnet import VARIANTS, Exchange, HRNetEncoder, join

SMALLEST = "w18-small-v1"


def randomise(module: nn.Module) -> None:
    """Statistics and weights of normalisations far from their initial values."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.3)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)


def timm_network(variant: str) -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.create_model(
        VARIANTS[variant].timm_name, features_only=True, feature_location="", out_indices=(1, 2, 3, 4)
    )


@pytest.fixture
def encoder() -> HRNetEncoder:
    torch.manual_seed(0)
    encoder = HRNetEncoder(SMALLEST).eval()
    randomise(encoder)
    return encoder


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_of_timm_have_its_names_and_shapes(variant: str) -> None:
    with torch.device("meta"):
        ours, theirs = HRNetEncoder(variant).state_dict(), timm_network(variant).state_dict()

    assert list(ours) == list(theirs)
    assert [value.shape for value in ours.values()] == [value.shape for value in theirs.values()]


def test_features_are_those_of_timm_s_network_once_it_enlarges_bilinearly(encoder: HRNetEncoder) -> None:
    theirs = timm_network(SMALLEST).eval()
    for parent in list(theirs.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Upsample):
                setattr(parent, name, nn.UpsamplingBilinear2d(scale_factor=child.scale_factor))  # type: ignore[arg-type]
    theirs.load_state_dict(encoder.state_dict())
    images = torch.rand(1, 3, 64, 96)

    with torch.no_grad():
        pairs = list(zip(encoder(images), theirs(images), strict=True))

    for ours, expected in pairs:
        assert ours.shape == expected.shape
        assert expected.std() > 0.1  # the comparison is of something
        assert (ours - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_two_scales_exchange_their_features_at_odd_sizes() -> None:
    torch.manual_seed(0)
    exchange = Exchange((2, 3), blocks=0).eval()
    randomise(exchange)
    fine, coarse = torch.randn(1, 2, 5, 7), torch.randn(1, 3, 3, 4)
    state = exchange.state_dict()

    def conv_norm(features: Tensor, key: str, **options: int) -> Tensor:
        features = F.conv2d(features, state[f"{key}.0.weight"], **options)  # type: ignore[arg-type]
        names = ("running_mean", "running_var", "weight", "bias")
        mean, variance, weight, bias = (state[f"{key}.1.{name}"].view(1, -1, 1, 1) for name in names)
        return (features - mean) / (variance + 1e-5).sqrt() * weight + bias

    enlarged = F.interpolate(conv_norm(coarse, "fuse_layers.0.1"), size=(5, 7), mode="bilinear", align_corners=True)
    reduced = conv_norm(fine, "fuse_layers.1.0.0", stride=2, padding=1)
    with torch.no_grad():
        new_fine, new_coarse = exchange([fine, coarse])

    assert torch.allclose(new_fine, F.relu(fine + enlarged), atol=1e-5)
    assert torch.allclose(new_coarse, F.relu(reduced + coarse), atol=1e-5)


def test_a_path_over_two_scales_is_rectified_between_its_convolutions_only() -> None:
    path = Exchange((1, 2, 4), blocks=0).fuse_layers[2][0]  # type: ignore[index]
    kinds = [type(module) for module in path.modules() if not isinstance(module, nn.Sequential)]

    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d]


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 32)])
def test_every_size_gives_four_scales_rounded_up(encoder: HRNetEncoder, size: tuple[int, int]) -> None:
    with torch.no_grad():
        features = encoder(torch.rand(2, 3, *size))

    height, width = size
    assert [tuple(feature.shape) for feature in features] == [
        (2, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]


def test_joining_keeps_the_corners() -> None:
    line = torch.tensor([0.0, 1.0, 4.0]).view(1, 1, 1, 3)

    joined = join([torch.zeros(1, 1, 1, 5), line])

    assert joined[0, 1, 0].tolist() == pytest.approx([0.0, 0.5, 1.0, 2.5, 4.0])


def test_joined_scales_come_from_fine_to_coarse() -> None:
    scales = [torch.full((1, 1, size, size), float(size)) for size in (8, 4, 2, 1)]

    assert join(scales)[0, :, 3, 5].tolist() == [8, 4, 2, 1]
