"""The contract of every registered encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from network_sizes import encoder_parameters

from pixelwise.backbones.building import ENCODERS, build_encoder
from pixelwise.testing import check_encoder

SMALL = 6_000_000
"""Encoders with more parameters are left to `make test-heavy`, or, but for one number of channels, to `make fuzz`."""
FROM_TIMM = ("resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224")


@pytest.mark.parametrize("name", [name for name in ENCODERS.own() if encoder_parameters(name) < SMALL])
def test_a_small_encoder_keeps_the_contract(name: str) -> None:
    check_encoder(name)


def cases() -> list[Any]:
    """All encoders with three numbers of channels."""
    small = {name for name in ENCODERS.own() if encoder_parameters(name) < SMALL}
    return [
        pytest.param(name, channels, marks=pytest.mark.heavy if channels == 5 or name in small else pytest.mark.fuzz)
        for name in (*ENCODERS.own(), *FROM_TIMM)
        for channels in (1, 3, 5)
    ]


@pytest.mark.parametrize(("name", "in_channels"), cases())
def test_an_encoder_keeps_the_contract_for_any_channels(name: str, in_channels: int) -> None:
    check_encoder(name, in_channels)


@pytest.mark.parametrize("name", ENCODERS.own())
def test_an_output_stride_that_is_impossible_is_refused(name: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=rf"'{name}'.*\d+, not 2\b") as caught:
        build_encoder(name, 2)
    assert getattr(caught.value, "code", None) == "R207"
