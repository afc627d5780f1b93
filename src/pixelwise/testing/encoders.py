"""What every encoder must do, whoever registers it: one function that says what it does not."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import build_encoder


def check_encoder(name: str, in_channels: int = 3) -> None:
    """Check that an encoder keeps the contract of `Encoder`.

    It is built by its name; its strides are powers of two that do not shrink; of an image whose sides are multiples of
    `multiple` (of any image, where that is 1) each feature map has its `channels` and ceil(side / stride) rows and
    columns; images of one batch do not see each other in evaluation mode; equal weights give equal features.

    Args:
        name: As it was registered.
        in_channels: Channels of the images.

    Raises:
        AssertionError: What it does not do, in a sentence.
    """
    torch.manual_seed(0)
    encoder = build_encoder(name, in_channels=in_channels).eval()
    _require(
        isinstance(encoder, Encoder), f"{name}: a {type(encoder).__name__} is no Encoder; derive it from that class"
    )
    _check_attributes(name, encoder)
    sizes = ((1, 1), (33, 47)) if encoder.multiple == 1 else ()
    with torch.no_grad():
        for height, width in (*sizes, (2 * encoder.strides[-1], 3 * encoder.strides[-1])):
            _check_shapes(name, encoder, torch.rand(1, in_channels, height, width))
        images = torch.rand(2, in_channels, 2 * encoder.strides[-1], 2 * encoder.strides[-1])
        together, alone = encoder(images), encoder(images[1:])
        same = all(torch.allclose(a[1:], b, atol=1e-4, rtol=1e-3) for a, b in zip(together, alone, strict=True))
        _require(same, f"{name}: the features of an image depend on the rest of the batch")
        other = build_encoder(name, in_channels=in_channels).eval()
        other.load_state_dict(encoder.state_dict())
        equal = all(torch.equal(a, b) for a, b in zip(together, other(images), strict=True))
        _require(equal, f"{name}: equal weights give other features")


def _check_attributes(name: str, encoder: Encoder) -> None:
    strides = encoder.strides
    _require(
        bool(strides) and len(strides) == len(encoder.channels), f"{name}: as many channels as strides, at least one"
    )
    _require(
        all(stride & (stride - 1) == 0 for stride in strides), f"{name}: strides {strides}; expected powers of two"
    )
    grow = all(fine <= coarse for fine, coarse in itertools.pairwise(strides))
    _require(grow, f"{name}: strides {strides}; expected them from fine to coarse")
    _require(strides[-1] % encoder.multiple == 0, f"{name}: stride {strides[-1]} is no multiple of {encoder.multiple}")
    _require(bool(encoder.name), f"{name}: it has no `name`")


def _check_shapes(name: str, encoder: Encoder, images: Tensor) -> None:
    height, width = images.shape[-2:]
    found = [tuple(feature.shape) for feature in encoder(images)]
    expected = [
        (1, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]
    _require(found == expected, f"{name}: an image of {height}x{width} (HxW) gives maps {found}; expected {expected}")


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)
