"""Key layouts of UPerNets over Swin and ConvNeXt of mmsegmentation and of Hugging Face transformers; facts only.

mmsegmentation's ConvNeXt is mmpretrain's. Hugging Face's Swin has two generations of names: those of the published
files, and those of transformers 5 in memory. In mmsegmentation's Swin, the channels of four neighbours that become one
position alternate; here, as in Swin's own code, those of one neighbour follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pixelwise.checkpoints.importers.conversions import (
    Conversion,
    Deinterleave,
    Join,
    refuse_architecture,
    register_importer,
)
from pixelwise.recipes.families.upernet import UPerNetSpec

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

Rules = tuple[tuple[str, str], ...]

_HEADS: Rules = (
    (r"^decode_head\.psp_modules\.(\d+)\.1\.", r"head.pooling.branches.\1."),
    (r"^decode_head\.bottleneck\.", "head.pooling.project."),
    (r"^decode_head\.lateral_convs\.", "head.laterals."),
    (r"^decode_head\.fpn_convs\.", "head.smoothing."),
    (r"^decode_head\.fpn_bottleneck\.", "head.fusion."),
    (r"^decode_head\.(?:conv_seg|classifier)\.", "head.classifier."),
    (r"^auxiliary_head\.(?:conv_seg|classifier)\.", "auxiliary.classifier."),
    (r"^auxiliary_head\.convs\.", "auxiliary.convs."),
    (r"^((?:head|auxiliary)\..+)\.(?:bn|batch_norm)\.", r"\1.norm."),
)


def _halving(theirs: str) -> Rules:
    """Both halve a map at the end of a stage, timm at the beginning of the next one."""
    return tuple((theirs.format(stage), f"encoder.layers_{stage + 1}.downsample.") for stage in range(3))


def _norms(theirs: str, first: int) -> Rules:
    return tuple((theirs.format(first + scale), f"feature_norms.{scale}.") for scale in range(4))


_ENCODERS: dict[tuple[str, str], Rules] = {
    ("mmsegmentation", "Swin"): (
        *_norms(r"^backbone\.norm{}\.", 0),
        (r"^backbone\.patch_embed\.projection\.", "encoder.patch_embed.proj."),
        (r"^backbone\.patch_embed\.", "encoder.patch_embed."),
        *_halving(r"^backbone\.stages\.{}\.downsample\."),
        (r"^backbone\.stages\.(\d)\.", r"encoder.layers_\1."),
        (r"\.attn\.w_msa\.", ".attn."),
        (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
        (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
    ),
    ("mmsegmentation", "ConvNeXt"): (
        *_norms(r"^backbone\.norm{}\.", 0),
        (r"^backbone\.downsample_layers\.0\.(\d)\.", r"encoder.network.stem_\1."),
        (r"^backbone\.downsample_layers\.(\d)\.(\d)\.", r"encoder.network.stages_\1.downsample.\2."),
        (r"^backbone\.stages\.(\d)\.(\d+)\.", r"encoder.network.stages_\1.blocks.\2."),
        (r"\.depthwise_conv\.", ".conv_dw."),
        (r"\.pointwise_conv(\d)\.", r".mlp.fc\1."),
    ),
    ("huggingface", "Swin"): (
        *_norms(r"^backbone\.hidden_states_norms\.stage{}\.", 1),
        # The names in memory become those of the published files, which are then translated.
        (r"^backbone\.swin\.", "backbone."),
        (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "encoder.patch_embed.proj."),
        (r"^backbone\.embeddings\.norm\.", "encoder.patch_embed.norm."),
        *_halving(r"^backbone\.encoder\.layers\.{}\.downsample\."),
        (r"^backbone\.encoder\.layers\.(\d)\.", r"encoder.layers_\1."),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"\.attention\.(?:self\.|relative_position_bias\.)?relative_position_bias_table$",
         ".attn.relative_position_bias_table"),
        (r"\.attention\.(?:output\.dense|o_proj)\.", ".attn.proj."),
        (r"\.intermediate\.dense\.", ".mlp.fc1."),
        (r"\.output\.dense\.", ".mlp.fc2."),
    ),
    ("huggingface", "ConvNeXt"): (
        *_norms(r"^backbone\.hidden_states_norms\.stage{}\.", 1),
        (r"^backbone\.embeddings\.patch_embeddings\.", "encoder.network.stem_0."),
        (r"^backbone\.embeddings\.layernorm\.", "encoder.network.stem_1."),
        (r"^backbone\.encoder\.stages\.(\d)\.downsampling_layer\.", r"encoder.network.stages_\1.downsample."),
        (r"^backbone\.encoder\.stages\.(\d)\.layers\.", r"encoder.network.stages_\1.blocks."),
        (r"\.layer_scale_parameter$", ".gamma"),
        (r"\.dwconv\.", ".conv_dw."),
        (r"\.layernorm\.", ".norm."),
        (r"\.pwconv(\d)\.", r".mlp.fc\1."),
    ),
}  # fmt: skip
"""(source, encoder) -> (pattern, replacement) pairs; each key passes through all of them, in this order."""
_TENSORS = {
    ("mmsegmentation", "Swin"): (Deinterleave(pattern=r".+\.downsample\.(?:reduction|norm)\.\w+", order=(0, 2, 1, 3)),),
    ("huggingface", "Swin"): (
        Join(
            pattern=r"(.+)\.attention\.self\.query\.(\w+)",
            others=(r"\1.attention.self.key.\2", r"\1.attention.self.value.\2"),
            key=r"\1.attn.qkv.\2",
        ),
        Join(
            pattern=r"(.+)\.attention\.q_proj\.(\w+)",
            others=(r"\1.attention.k_proj.\2", r"\1.attention.v_proj.\2"),
            key=r"\1.attn.qkv.\2",
        ),
    ),
}
_LEFT_OUT = (
    (r".+\.relative_position_index", "positions, which follow from the size of the windows"),
    (r"backbone\.(?:swin\.)?layernorm\.\w+", "a normalisation that no logit depends on"),
)
_FIRST = {
    "mmsegmentation": {
        "Swin": "backbone.patch_embed.projection.weight",
        "ConvNeXt": "backbone.downsample_layers.0.0.weight",
    },
    "huggingface": {
        "Swin": r"backbone.embeddings.patch_embeddings.projection.weight",
        "ConvNeXt": "backbone.embeddings.patch_embeddings.weight",
    },
}
"""Source -> encoder -> key of its first tensor, without what transformers 5 has put before it."""
_CLASSIFIER = {"mmsegmentation": "conv_seg", "huggingface": "classifier"}
_PYRAMID = "decode_head.fpn_bottleneck.conv.weight"
_STAGES = {"Swin": "encoder.layers_0.blocks.", "ConvNeXt": "encoder.network.stages_0.blocks.0.conv_dw."}
"""Encoder -> beginning of a key here."""
_BLOCK = re.compile(r"encoder\.(?:layers_|network\.stages_)(\d)\.blocks\.(\d+)\.")


@register_importer("mmsegmentation", "upernet", swaps_average=True)
@register_importer("huggingface", "upernet")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`.

    Raises:
        CheckpointError: K402, the weights are not of a UPerNet of that source, or have another encoder or a head of
            another width than the model.
    """
    spec = model.spec
    if not isinstance(spec, UPerNetSpec):
        raise TypeError(f"expected a UPerNet; got a model of {type(spec).__name__}")
    encoder = _encoder(source, state)
    found = Conversion(
        rules=(*_ENCODERS[source, encoder], *_HEADS),
        classifiers=tuple(
            (f"{head}.{_CLASSIFIER[source]}.{kind}", 0)
            for head in ("decode_head", "auxiliary_head")
            for kind in ("weight", "bias")
        ),
        tensors=_TENSORS.get((source, encoder), ()),
        left_out=_LEFT_OUT,
        optional=("auxiliary.",),
    )
    _check_encoder(encoder, spec, _renamed(state, found), model.state_dict())
    width = getattr(state[_PYRAMID], "shape", (spec.channels,))[0]
    if width != spec.channels:
        raise refuse_architecture(
            f"the head of the weights has {width} channels, the model's head {spec.channels}",
            f"build the model with model.channels={width}",
        )
    return found


def _encoder(source: str, state: Mapping[str, Any]) -> str:
    """`Swin` or `ConvNeXt`."""
    keys = {key.replace("backbone.swin.", "backbone.", 1) for key in state}
    if _PYRAMID in keys:
        for place, firsts in _FIRST.items():
            for encoder, first in firsts.items():
                if first in keys and place == source:
                    return encoder
                if first in keys:
                    raise refuse_architecture(
                        f"these are not the weights of a UPerNet of {source}", f"the keys are those of `source` {place}"
                    )
    shown = ", ".join(list(state)[:3]) or "none"
    raise refuse_architecture(
        f"these are not the weights of a UPerNet over Swin or ConvNeXt of {source}; first keys: {shown}",
        "name the system that wrote the file with `source`; weights of the encoder alone are given with "
        "initialize.encoder",
    )


def _renamed(state: Iterable[str], conversion: Conversion) -> list[str]:
    names = list(state)
    for pattern, replacement in conversion.rules:
        names = [re.sub(pattern, replacement, name) for name in names]
    return names


def _blocks(names: Iterable[str]) -> tuple[int, ...]:
    """Number of blocks of each stage."""
    places = {(int(match[1]), int(match[2])) for name in names if (match := _BLOCK.match(name))}
    return tuple(sum(stage == here for here, _ in places) for stage in range(4))


def _check_encoder(encoder: str, spec: UPerNetSpec, theirs: Iterable[str], ours: Iterable[str]) -> None:
    known = [name for name, stage in _STAGES.items() if any(key.startswith(stage) for key in ours)]
    if [encoder] == known and _blocks(theirs) == _blocks(ours):
        return
    mine = f" with {list(_blocks(ours))}" if known else ""
    name = encoder.lower()
    raise refuse_architecture(
        f"the encoder of the weights is a {encoder} with {list(_blocks(theirs))} blocks in its stages; the model's is "
        f"'{spec.encoder}'{mine}",
        f"build the model with the encoder that has as many: model.encoder={name}_tiny, {name}_small or {name}_base",
    )
