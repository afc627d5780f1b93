"""Layouts of encoder weights in files of other libraries, translated to the names of timm; facts only, no code.

A layout is tried at every place in a file where the first tensor of such an encoder lies. What it gives is compared
with the encoder tensor by tensor, so a layout does not have to recognise its files beyond that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from pixelwise.checkpoints.importers.conversions import Conversion
from pixelwise.checkpoints.importers.sources.segformer import encoder_conversion, openmmlab_encoder_conversion
from pixelwise.checkpoints.importers.sources.segnext import encoder_conversion as mscan_conversion
from pixelwise.checkpoints.importers.translating import translate

Tensors = Mapping[str, Tensor]

MOBILENETV3_EPS = 1e-3
"""What torchvision's MobileNetV3 adds to variances; timm's adds less."""
COUNTER = "num_batches_tracked"
SAME_PADDING = "tf_"
"""Beginning of timm's names of networks that pad as TensorFlow does."""


class Layout(NamedTuple):
    """Names of an encoder's tensors in a library.

    Attributes:
        name: The library or program, for messages.
        anchor: Regular expression of the key of the first tensor, from a beginning of the key on.
        translate: Turns tensors (without what precedes the anchor) into those of timm's network; takes the shapes of
            timm's tensors by name, in the order of the layers.
        same_padding: Whether its convolutions pad as TensorFlow's do; None if that depends on the network.
    """

    name: str
    anchor: str
    translate: Callable[[Tensors, Mapping[str, tuple[int, ...]]], dict[str, Tensor]]
    same_padding: bool | None = None


def lukemelas(theirs: Tensors, ours: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """EfficientNets as in lukemelas' EfficientNet-PyTorch, whose blocks are numbered through all stages."""
    places = _blocks(ours)
    found: dict[str, Tensor] = {}
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    for key, tensor in theirs.items():
        module, _, kind = key.rpartition(".")
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)", module):
            number, part = int(match[1]), match[2]
            expands = f"_blocks.{number}._expand_conv.weight" in theirs
            names = _LUKEMELAS_EXPANDING if expands else _LUKEMELAS_FIRST
            place = places[number] if number < len(places) else f"blocks.beyond.{number}"
            found[f"{place}.{names.get(part, part)}.{kind}"] = tensor
        else:
            found[f"{top.get(module, module)}.{kind}"] = tensor
    return found


_LUKEMELAS_FIRST = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_LUKEMELAS_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def torchvision_mobile(theirs: Tensors, ours: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """MobileNetV2, MobileNetV3 and EfficientNet of torchvision.

    Their blocks are numbered through all stages (MobileNets) or within each stage (EfficientNet), and so are the layers
    of a block, which are timm's in the same order.
    """
    places = _blocks(ours)
    nested = any(re.match(r"\d+\.\d+\.block\.", key) for key in theirs)
    found: dict[str, Tensor] = {}
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in theirs.items():
        if match := re.fullmatch(r"0\.([01])\.(\w+)", key):
            found[f"{('conv_stem', 'bn1')[int(match[1])]}.{match[2]}"] = tensor
            continue
        pattern = r"(\d+)\.(\d+)\.block\.(.+)" if nested else r"(\d+)\.(?:(?:block|conv)\.)?(.+)"
        if (match := re.fullmatch(pattern, key)) is None:
            continue
        number = int(match[1]) - 1
        if nested:
            place = f"blocks.{number}.{match[2]}"
        else:
            place = places[number] if number < len(places) else f"head.{number}"
        groups.setdefault(place, {})[match[3] if nested else match[2]] = tensor
    for place, group in groups.items():
        found |= _in_order(place, group, ours)
    return found


def _in_order(place: str, theirs: Mapping[str, Tensor], ours: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors of one block under timm's names: convolutions, norms and gates are each in the same order."""
    found: dict[str, Tensor] = {}
    mine = _layers({key.removeprefix(f"{place}."): shape for key, shape in ours.items() if key.startswith(f"{place}.")})
    others = _layers({key: tuple(tensor.shape) for key, tensor in theirs.items()})
    for kind, names in others.items():
        for number, name in enumerate(names):
            new = mine[kind][number] if number < len(mine[kind]) else f"beyond.{name}"
            for key, tensor in theirs.items():
                if key.rpartition(".")[0] == name:
                    found[f"{place}.{new}.{key.rpartition('.')[2]}"] = tensor
    return found


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, list[str]]:
    """Names of a block's layers by kind, in order."""
    kinds: dict[str, list[str]] = {"norm": [], "gate": [], "conv": []}
    for key, shape in shapes.items():
        name, _, part = key.rpartition(".")
        if part == "running_mean":
            kinds["norm"].append(name)
        elif part == "weight" and len(shape) == 4:
            # Only the two convolutions of a gate have biases.
            kinds["gate" if f"{name}.bias" in shapes else "conv"].append(name)
    return kinds


def openmmlab_stem(theirs: Tensors, ours: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """ResNets with a deep stem in OpenMMLab's libraries, which put the stem into a module of its own."""
    renamed = {re.sub(r"^stem\.(\d+)\.", r"conv1.\1.", key): tensor for key, tensor in theirs.items()}
    return {re.sub(r"^conv1\.7\.", "bn1.", key): tensor for key, tensor in renamed.items()}


def nvidia_mit(theirs: Tensors, ours: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """MiT encoders in NVIDIA's SegFormer, whose stages are numbered from 1."""
    found: dict[str, Tensor] = {}
    for key, tensor in theirs.items():
        name = re.sub(
            r"^(patch_embed|block|norm)(\d)\.",
            lambda match: f"stages.{int(match[2]) - 1}.{_NVIDIA_PARTS[match[1]]}.",
            key,
        )
        for pattern, replacement in _NVIDIA_RULES:
            name = re.sub(pattern, replacement, name)
        found[name] = tensor
    return found


_NVIDIA_PARTS = {"patch_embed": "embedding", "block": "blocks", "norm": "norm"}
_NVIDIA_RULES = (
    (r"\.embedding\.proj\.", ".embedding.conv."),
    (r"\.attn\.q\.", ".attention.query."),
    (r"\.attn\.kv\.", ".attention.key_value."),
    (r"\.attn\.proj\.", ".attention.output."),
    (r"\.attn\.sr\.", ".attention.reduction."),
    (r"\.attn\.norm\.", ".attention.reduction_norm."),
    (r"\.mlp\.fc1\.", ".feed_forward.expand."),
    (r"\.mlp\.dwconv\.dwconv\.", ".feed_forward.depthwise."),
    (r"\.mlp\.fc2\.", ".feed_forward.project."),
)


def _by_rules(
    conversion: Conversion, before: str
) -> Callable[[Tensors, Mapping[str, tuple[int, ...]]], dict[str, Tensor]]:
    """A translation by the rules of an importer, which expect `before` in front of every key."""

    def translated(theirs: Tensors, ours: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        renamed = translate({f"{before}{key}": tensor for key, tensor in theirs.items()}, conversion)
        return {key.removeprefix("encoder."): value for key, value in renamed.items() if key.startswith("encoder.")}

    return translated


def _blocks(ours: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Timm's names of the blocks of a mobile network, in order."""
    names = (match[1] for key in ours if (match := re.match(r"(blocks\.\d+\.\d+)\.", key)))
    return list(dict.fromkeys(names))


LAYOUTS: tuple[Layout, ...] = (
    Layout("lukemelas' EfficientNet-PyTorch", r"_conv_stem\.weight", lukemelas, same_padding=True),
    Layout("torchvision", r"0\.0\.weight", torchvision_mobile, same_padding=False),
    Layout("OpenMMLab", r"stem\.0\.weight", openmmlab_stem),
    Layout("NVIDIA's SegFormer", r"patch_embed1\.proj\.weight", nvidia_mit),
    Layout("Hugging Face transformers", r"(?:encoder\.patch_embeddings\.0|stages\.0\.patch_embeddings)\.proj\.weight",
           _by_rules(encoder_conversion(), "segformer.")),
    Layout("SegNeXt's authors", r"patch_embed1\.proj\.0\.weight", _by_rules(mscan_conversion(), "backbone.")),
    Layout("OpenMMLab", r"layers\.0\.0\.projection\.weight", _by_rules(openmmlab_encoder_conversion(), "backbone.")),
)  # fmt: skip
"""Layouts apart from timm's own names, which torchvision's ResNets and most published files have too."""
