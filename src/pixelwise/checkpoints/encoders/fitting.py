"""The tensors of an encoder within the weights of a file: its own, or those of a whole network that contains it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.timm_layers import original_name
from pixelwise.checkpoints.encoders.layouts import COUNTER, LAYOUTS, MOBILENETV3_EPS, SAME_PADDING, Layout
from pixelwise.checkpoints.files.wrappers import AVERAGES
from pixelwise.checkpoints.importers.translating import as_convolution
from pixelwise.storage.names import some


class Fit(NamedTuple):
    """Tensors for an encoder.

    Attributes:
        tensors: Tensors by the encoder's own keys.
        notes: Where in the file they were, and in which layout.
        layout: Library whose names they had; None for timm's.
    """

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    layout: Layout | None


class NoFit(Exception):
    """Raised if no tensors of the file fit; the text says why, continuing "... do not fit the encoder: "."""


class _Names(NamedTuple):
    """The names that an encoder's tensors may have in a file.

    Attributes:
        own: Name -> the encoder's own key.
        known: All names of the network that the encoder is a part of, its classifier included.
        shapes: Name -> shape, in the order of the layers.
    """

    own: dict[str, str]
    known: frozenset[str]
    shapes: dict[str, tuple[int, ...]]


def fit(encoder: Encoder, theirs: Mapping[str, Tensor]) -> Fit:
    """Find the encoder's tensors in a file.

    They are looked for at every place where the first tensor of an encoder lies, under timm's names and in the layouts
    of other libraries. All pretrained tensors have to be there in the right shape, and no further ones in the same
    modules, which a deeper network would have.

    Args:
        encoder: The encoder; unchanged.
        theirs: Named tensors of the file.

    Raises:
        NoFit: No place has them all, or several different ones do.
    """
    required = _required(encoder)
    found: list[tuple[str, Fit]] = []
    problems: list[tuple[int, str]] = []
    for naming in _namings(encoder):
        for layout in (None, *LAYOUTS):
            for prefix in _prefixes(theirs, naming, layout):
                one = _at(prefix, layout, naming, theirs, required, encoder)
                if isinstance(one, Fit):
                    found.append((prefix, one))
                else:
                    problems.append(one)
    if not found:
        if not problems or min(problems)[0] >= 2 * len(required):
            raise NoFit(f"none of its tensors is one of the encoder's; its first are {some(list(theirs)) or 'none'}")
        raise NoFit(min(problems)[1])
    return _best(found)


def _best(found: list[tuple[str, Fit]]) -> Fit:
    """The only fit, or that of a running average, if the others have other values."""
    first = found[0][1]
    different = [item for item in found[1:] if not _equal(item[1].tensors, first.tensors)]
    if not different:
        return first
    averages = [item for item in found if set(item[0].split(".")) & set(AVERAGES)]
    if len(averages) == 1:
        prefix, best = averages[0]
        return best._replace(notes=(*best.notes, f"'{prefix}' is a running average, so it was preferred"))
    places = " and ".join(f"'{prefix}'" for prefix, _ in (found[0], different[0]))
    raise NoFit(f"it holds several encoders that fit, under {places}; save the one to begin with")


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.allclose(one[key], value, rtol=0, atol=0, equal_nan=True) for key, value in other.items())


def _at(
    prefix: str, layout: Layout | None, naming: _Names, theirs: Mapping[str, Tensor], required: dict[str, Tensor],
    encoder: Encoder,
) -> Fit | tuple[int, str]:  # fmt: skip
    """The encoder's tensors below a prefix; otherwise how far they are off, and the reason."""
    inner = {key.removeprefix(prefix): value for key, value in theirs.items() if key.startswith(prefix)}
    named = inner if layout is None else layout.translate(inner, naming.shapes)
    if layout is None and "norm.weight" in naming.own and "norm.weight" not in named:
        # A transformer that classifies the mean of its patches normalises that mean, not the patches.
        named = {re.sub(r"^fc_norm\.", "norm.", key): value for key, value in named.items()}
    tensors = {
        own: encoder.adapted(own, for_channels(as_convolution(named[name], required[own]), required[own]))
        for name, own in naming.own.items()
        if name in named and own in required
    }
    where = f" under '{prefix}'" if prefix else ""
    missing = [key for key in required if key not in tensors]
    differing = [key for key in tensors if tensors[key].shape != required[key].shape]
    if missing or differing:
        return 2 * len(missing) + len(differing), (
            f"of the encoder's {len(required)} pretrained tensors it lacks {len(missing)}{where}, and {len(differing)} "
            f"have another shape, for example {(differing or missing)[0]}"
        )
    tops = {name.partition(".")[0] for name in naming.own}
    beyond = [
        name
        for name in named
        if name not in naming.own and name not in naming.known and not name.endswith(COUNTER)
        and name.partition(".")[0] in tops
    ]  # fmt: skip
    if beyond:
        return len(beyond), (
            f"it has {len(beyond)} tensors{where} that the encoder lacks, for example {beyond[0]}: it is of a "
            "larger network"
        )
    if padding := _other_padding(layout, encoder):
        return 0, padding
    notes = [f"the encoder's tensors were found under '{prefix}'"] if prefix else []
    if layout is not None:
        notes.append(f"the names of {layout.name} were translated")
        notes += _other_eps(layout, encoder)
    return Fit(tensors, tuple(notes), layout)


def _other_padding(layout: Layout | None, encoder: Encoder) -> str | None:
    """The reason why an encoder of the same shapes computes something else with these weights; None if it does not."""
    name = encoder.timm_name
    if layout is None or layout.same_padding is None or not name:
        return None
    if layout.same_padding and not name.startswith(SAME_PADDING):
        return (
            f"{layout.name} pads its images as TensorFlow does, {encoder.name} does not; choose "
            f"model.encoder={SAME_PADDING}{name}"
        )
    if not layout.same_padding and name.startswith(SAME_PADDING):
        plain = name.removeprefix(SAME_PADDING)
        return (
            f"{encoder.name} pads its images as TensorFlow does, {layout.name} does not; choose model.encoder={plain}"
        )
    return None


def _other_eps(layout: Layout, encoder: Encoder) -> list[str]:
    """A note if the normalisations of the file's network add another number to variances, which no tensor tells."""
    mine = {module.eps for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)}
    if layout.same_padding is not False or "mobilenetv3" not in encoder.timm_name or mine == {MOBILENETV3_EPS}:
        return []
    return [f"{layout.name}'s MobileNetV3 adds {MOBILENETV3_EPS:g} to variances, {encoder.name} {min(mine):g}"]


def _required(encoder: Encoder) -> dict[str, Tensor]:
    return {
        key: value
        for key, value in encoder.state_dict().items()
        if not _untrained(encoder, key) and not key.endswith(COUNTER)
    }


def _untrained(encoder: Encoder, key: str) -> bool:
    return key.startswith(encoder.untrained) if encoder.untrained else False


def _namings(encoder: Encoder) -> Iterator[_Names]:
    """Timm's names of the encoder's tensors, and those of the encoder's own modules, as in a run of this program."""
    own = encoder.state_dict()
    wraps = hasattr(encoder, "network")
    known, order = _whole_network(encoder.timm_name)
    plain = {key: key.removeprefix("network.") if wraps else key for key in own if not _untrained(encoder, key)}
    original = {key: original_name(name, known) if known else name for key, name in plain.items()}
    shapes = {name: tuple(own[key].shape) for key, name in original.items()}
    yield _Names(
        {name: key for key, name in original.items()}, frozenset(known), {**order, **shapes} if order else shapes
    )
    if original != plain:
        shapes = {name: tuple(own[key].shape) for key, name in plain.items()}
        yield _Names({name: key for key, name in plain.items()}, frozenset(known), shapes)


def _whole_network(timm_name: str) -> tuple[set[str], dict[str, tuple[int, ...]]]:
    """Names and shapes of timm's whole network, in the order of its layers; empty without one."""
    if not timm_name:
        return set(), {}
    import timm

    with torch.device("meta"):
        whole: nn.Module = timm.create_model(timm_name, pretrained=False)
    state = whole.state_dict()
    return set(state), {key: tuple(value.shape) for key, value in state.items()}


def _prefixes(theirs: Mapping[str, Tensor], naming: _Names, layout: Layout | None) -> list[str]:
    """What precedes the names of an encoder's tensors, at every place where its first tensor lies."""
    if layout is not None:
        anchor = layout.anchor
    else:
        anchor = re.escape(next((name for name in naming.own if not name.endswith(COUNTER)), ""))
    matches = (re.fullmatch(rf"((?:.*\.)?){anchor}", key) for key in theirs)
    return list(dict.fromkeys(match[1] for match in matches if match is not None))


def for_channels(theirs: Tensor, ours: Tensor) -> Tensor:
    """Adapt the weights of a first convolution from RGB to C channels, as timm's `adapt_input_conv` does.

    A single channel gets the sum of the three, so a grey image gives the same output as the same image in RGB. With
    more channels the weights of red, green and blue repeat in this order, times 3 / C, so that an image with equal
    values in all channels gives the same output as a grey image in RGB. Near infrared after red, green and blue thus
    starts with the weights of red.

    Args:
        theirs: (O, 3, h, w), or any other weights, which are returned unchanged.
        ours: The network's weights of the same name, (O, C, h, w).

    Returns:
        (O, C, h, w) if only the number of channels differs, else `theirs`.
    """
    if ours.ndim != 4 or theirs.shape == ours.shape or tuple(theirs.shape) != (len(ours), 3, *ours.shape[2:]):
        return theirs
    channels = ours.shape[1]
    if channels == 1:
        return theirs.sum(dim=1, keepdim=True)
    return theirs[:, torch.arange(channels) % 3] * (3 / channels)
