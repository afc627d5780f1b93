"""Forward passes of a whole network whose encoder answers with features that are known, or that change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from pixelwise.training.optimization.freezing import encoder_of


@contextlib.contextmanager
def recalling(model: nn.Module, features: Sequence[Tensor] | None) -> Iterator[None]:
    """Context in which the encoder of a network returns `features` instead of computing them.

    Everything else of the network is the code that runs without the context, so that what is trained in it is the head
    of the whole network.

    Args:
        model: A network with an encoder.
        features: One (B, C, h, w) per feature map of the encoder; None changes nothing.
    """
    if features is None:
        yield
        return
    encoder, known = encoder_of(model), list(features)
    encoder.forward = lambda images: list(known)
    try:
        yield
    finally:
        del encoder.forward  # the method of the class is there again


@contextlib.contextmanager
def unchanged(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Context after which the modes and statistics of a network and the random generators are as before."""
    modes = {module: module.training for module in model.modules()}
    before = [buffer.clone() for buffer in model.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            for module, training in modes.items():
                module.training = training
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)


def without_pixels(shape: Sequence[int], device: torch.device) -> Tensor:
    """Images (B, C, H, W) that take the memory of one number, for networks that need only their size.

    The number is NaN, so that whatever is computed from a pixel cannot be mistaken for a result.
    """
    return torch.full((1, 1, 1, 1), float("nan"), device=device).expand(*shape)


def recalled(features: Sequence[Tensor] | None, device: torch.device, channels_last: bool) -> list[Tensor] | None:
    """The features of a batch as a head gets them: float32, on the device, in its memory layout; None for images.

    A map that takes the memory of one number, because the head does not read it, stays so.
    """
    if features is None:
        return None
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return [
        one.to(device, non_blocking=True).to(torch.float32, memory_format=layout)
        if any(one.stride())
        else without_pixels(one.shape, device)
        for one in features
    ]
