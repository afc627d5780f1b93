from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import ENCODERS, register_encoder
from pixelwise.testing import check_encoder


class Halving(Encoder):
    """One convolution of stride 4, which tests spoil."""

    spoilt = ""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.name, self.channels, self.strides, self.multiple = "halving", (8,), (4,), 1
        self.conv = nn.Conv2d(in_channels, 8, kernel_size=3, stride=4, padding=1)
        self.hidden = torch.rand(1).item()
        if self.spoilt == "strides":
            self.strides = (3,)
        if self.spoilt == "channels":
            self.channels = (9,)
        if self.spoilt == "lengths":
            self.channels = (8, 8)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.conv(images)
        if self.spoilt == "batch":
            features = features - features.mean()
        if self.spoilt == "weights":
            features = features + self.hidden
        if self.spoilt == "sizes":
            features = features[..., :-1]
        return [features]


@pytest.fixture
def halving() -> Iterator[type[Halving]]:
    @register_encoder("halving")
    def build(name: str, output_stride: int | None, maps: int | None, in_channels: int) -> Encoder:
        return Halving(in_channels)

    yield Halving
    ENCODERS.discard("halving")


@pytest.mark.usefixtures("halving")
def test_an_encoder_that_keeps_the_contract_passes() -> None:
    check_encoder("halving")
    check_encoder("halving", in_channels=5)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("strides", r"strides .*\(3,\)"),
        ("channels", r"1x1 .*\(1, 8, 1, 1\).*\(1, 9, 1, 1\)"),
        ("lengths", "1 strides .*2 channels"),
        ("batch", "batch"),
        ("weights", "weights"),
        ("sizes", r"1x1 .*\(1, 8, 1, 0\).*\(1, 8, 1, 1\)"),
    ],
)
def test_what_an_encoder_does_wrong_is_said(
    halving: type[Halving], monkeypatch: pytest.MonkeyPatch, spoilt: str, said: str
) -> None:
    monkeypatch.setattr(halving, "spoilt", spoilt)
    with pytest.raises(AssertionError, match=f"^halving: .*{said}"):
        check_encoder("halving")
