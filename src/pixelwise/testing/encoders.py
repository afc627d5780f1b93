"""Contract check for encoders."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import build_encoder


def check_encoder(name: str, in_channels: int = 3) -> None:
    """Check that an encoder fulfils the contract of `Encoder`.

    It is built by its name; its strides are powers of two in ascending order; for an image whose sides are multiples of
    `multiple` (for any image if that is 1) each feature map has its number of `channels` and ceil(side / stride) rows
    and columns; in evaluation mode the images of a batch do not influence each other; equal weights give equal
    features.

    Args:
        name: Registered name of the encoder.
        in_channels: Number of bands of the input images.

    Raises:
        AssertionError: The encoder breaks the contract; the message says where.
    """
    torch.manual_seed(0)
    encoder = build_encoder(name, in_channels=in_channels).eval()
    _require(
        isinstance(encoder, Encoder), f"{name}: {type(encoder).__name__} is not an Encoder; derive it from that class"
    )
    _check_attributes(name, encoder)
    sizes = ((1, 1), (33, 47)) if encoder.multiple == 1 else ()
    with torch.no_grad():
        for height, width in (*sizes, (2 * encoder.strides[-1], 3 * encoder.strides[-1])):
            _check_shapes(name, encoder, torch.rand(1, in_channels, height, width))
        images = torch.rand(2, in_channels, 2 * encoder.strides[-1], 2 * encoder.strides[-1])
        together, alone = encoder(images), encoder(images[1:])
        same = all(torch.allclose(a[1:], b, atol=1e-4, rtol=1e-3) for a, b in zip(together, alone, strict=True))
        _require(same, f"{name}: the features of an image depend on the other images of the batch")
        other = build_encoder(name, in_channels=in_channels).eval()
        other.load_state_dict(encoder.state_dict())
        equal = all(torch.equal(a, b) for a, b in zip(together, other(images), strict=True))
        _require(equal, f"{name}: equal weights give different features")


def _check_attributes(name: str, encoder: Encoder) -> None:
    strides = encoder.strides
    _require(
        bool(strides) and len(strides) == len(encoder.channels),
        f"{name}: {len(strides)} strides and {len(encoder.channels)} channels; expected as many of both, at least one",
    )
    _require(
        all(stride & (stride - 1) == 0 for stride in strides),
        f"{name}: the strides are {strides}; expected powers of two",
    )
    grow = all(fine <= coarse for fine, coarse in itertools.pairwise(strides))
    _require(grow, f"{name}: the strides are {strides}; expected ascending order")
    _require(
        strides[-1] % encoder.multiple == 0,
        f"{name}: the last stride is {strides[-1]}; expected a multiple of `multiple`, {encoder.multiple}",
    )
    _require(bool(encoder.name), f"{name}: it has no `name`")


def _check_shapes(name: str, encoder: Encoder, images: Tensor) -> None:
    height, width = images.shape[-2:]
    found = [tuple(feature.shape) for feature in encoder(images)]
    expected = [
        (1, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]
    _require(
        found == expected,
        f"{name}: an image of {height}x{width} (height x width) gives maps {found}; expected {expected}",
    )


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)
