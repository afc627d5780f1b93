from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import build_encoder


class Shell(Encoder):
    """An encoder around something."""

    name = "shell"
    channels = (3,)
    strides = (1,)

    def __init__(self, network: object = None, timm_name: str = "") -> None:
        super().__init__()
        self.timm_name = timm_name
        self.own = nn.Conv2d(3, 3, 1)
        if network is not None:
            self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.own(images)]


def features(name: str) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, features_only=True)


def test_parameters_of_timms_network_are_counted_from_its_end():
    distances = Shell(features("resnet18"), "resnet18").layers_from_head()
    assert distances is not None
    # Two blocks in each of four stages, and the stem before them.
    expected = {"conv1.weight": 9, "bn1.bias": 9, "layer1.0.conv1.weight": 8, "layer4.1.bn2.weight": 1}
    assert {name: distances[f"network.{name}"] for name in expected} == expected
    assert all(name.startswith("network.") for name in distances)
    assert "own.weight" not in distances


@pytest.mark.parametrize("kind", ["no network", "no name", "a network that is none"])
def test_what_is_not_timms_is_left_to_its_names(kind: str):
    encoder = {
        "no network": Shell(timm_name="resnet18"),
        "no name": Shell(features("resnet18")),
        "a network that is none": Shell("resnet18", "resnet18"),
    }[kind]
    assert encoder.layers_from_head() is None


def test_blocks_that_timm_does_not_know_are_left_to_their_names():
    assert Shell(features("poolformer_s12"), "poolformer_s12").layers_from_head() is None


def test_our_own_encoders_are_left_to_their_names():
    assert build_encoder("mit_b0").layers_from_head() is None


def test_by_itself_an_encoder_takes_any_size_and_expects_no_weights():
    assert (Shell.timm_name, Shell.untrained, Shell.multiple) == ("", (), 1)
    assert [tuple(map_.shape) for map_ in Shell()(torch.zeros(1, 3, 5, 7))] == [(1, 3, 5, 7)]


def test_an_encoder_says_how_it_computes():
    class Silent(Encoder):
        pass

    with pytest.raises(TypeError, match="forward"):
        Silent()  # type: ignore[abstract]
