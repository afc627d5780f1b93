"""Networks made for prediction on CPUs: batch normalisations merged into convolutions, and weights in NHWC layout."""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.models import SegmentationModel
from pixelwise.runtimes import ArtefactModel

EXAMPLE = (67, 98)
"""(height, width) of the example with which a network is held against the one it was made from."""
TOLERANCE = 1e-3
"""Largest difference of a logit, relative to the largest logit, that rounding explains."""
_PADDED_BY_TIMM = "timm.layers.conv2d_same"
"""Module of convolutions that pad as TensorFlow does, and otherwise are those of PyTorch."""


def made_for_prediction(model: SegmentationModel) -> SegmentationModel:
    """A copy of a network on the CPU that gives the same logits, up to rounding, in less time.

    Args:
        model: The network, in evaluation mode; it is not changed.

    Returns:
        The copy; `model` itself if it is an artefact, is not on the CPU in float32, cannot be copied, or if its copy
        gives other logits on an example, as when a module uses the output of a convolution beside its normalisation.
    """
    if isinstance(model, ArtefactModel) or any(_elsewhere(values) for values in model.parameters()):
        return model
    made = copied(model)
    if made is None:
        return model
    shape = (1, model.preprocessing.in_channels, *EXAMPLE)
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), contextlib.suppress(RuntimeError):
        _fold(made, example)
        made = made.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        wanted, found = (network.head_logits(example)[0] for network in (model, made))
        if wanted.shape == found.shape and bool((wanted - found).abs().max() <= TOLERANCE * wanted.abs().max()):
            return made
    return model


def copied(model: SegmentationModel, *, shared: bool = False) -> SegmentationModel | None:
    """A copy of a network, or None if it cannot be copied.

    Args:
        model: The network.
        shared: Whether the copy uses the parameters of the network; what its modules note of a call is its own.
    """
    known: dict[int, Any] = {id(values): values for values in model.parameters()} if shared else {}
    try:
        return copy.deepcopy(model, known)
    except Exception:  # modules of other packages may hold anything
        return None


def _elsewhere(values: Tensor) -> bool:
    return values.device.type != "cpu" or values.dtype != torch.float32


def _fold(model: SegmentationModel, example: Tensor) -> None:
    """Merge every batch normalisation whose input is the output of a convolution into that convolution."""
    pairs, calls = _pairs(model, example)
    after: dict[nn.Module, nn.Module] = {}
    for norm, conv in pairs.items():
        if calls[norm] == calls[conv] == 1 and _is_plain(norm, conv):
            _merge(conv, norm)
            after[norm] = _rest(norm)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if child in after:
                setattr(parent, name, after[child])


def _pairs(model: SegmentationModel, example: Tensor) -> tuple[dict[nn.Module, nn.Module], Counter[nn.Module]]:
    """The convolution before each batch normalisation, and how often each of them is called for one image."""
    made_by: dict[int, tuple[nn.Module, Tensor]] = {}
    pairs: dict[nn.Module, nn.Module] = {}
    calls: Counter[nn.Module] = Counter()

    def note_output(conv: nn.Module, _: Any, output: Tensor) -> None:
        calls[conv] += 1
        # The tensor is kept, so that no other one gets its id.
        made_by[id(output)] = conv, output

    def note_input(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls[norm] += 1
        if inputs and id(inputs[0]) in made_by:
            pairs[norm] = made_by[id(inputs[0])][0]

    hooks = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(note_output))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(note_input))
    try:
        model.head_logits(example)
    finally:
        for hook in hooks:
            hook.remove()
    return pairs, calls


def _is_plain(norm: Any, conv: Any) -> bool:
    """Whether a normalisation uses recorded statistics, and the convolution before it applies its weights as stored."""
    convolves = type(conv) is nn.Conv2d or type(conv).__module__ == _PADDED_BY_TIMM
    known = type(norm) is nn.BatchNorm2d or {"act", "drop"} <= dict(norm.named_children()).keys()
    return convolves and known and norm.running_var is not None and norm.affine


def _merge(conv: Any, norm: Any) -> None:
    """Give a convolution the scale and the shift of the normalisation that follows it; computed in float64."""
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = 0.0 if conv.bias is None else conv.bias.double()
    shift = norm.bias.double() + (bias - norm.running_mean.double()) * scale
    conv.weight = nn.Parameter((conv.weight.double() * scale[:, None, None, None]).float(), requires_grad=False)
    conv.bias = nn.Parameter(shift.float(), requires_grad=False)


def _rest(norm: Any) -> nn.Module:
    """What a normalisation does beside normalising: those of timm also apply an activation."""
    if type(norm) is nn.BatchNorm2d:
        return nn.Identity()
    return nn.Sequential(norm.drop, norm.act)
