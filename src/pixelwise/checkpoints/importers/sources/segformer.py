"""Key layouts of SegFormers in three systems; facts only, no code.

`united-perception` and `mmsegmentation` have the head "convolution" and the same names below different
prefixes; `huggingface` (transformers' `SegformerForSemanticSegmentation`) has the head "mlp" and two
generations of names: those of the published files, and those of transformers 5 in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pixelwise.checkpoints.importers.conversions import (
    Conversion,
    Join,
    Regroup,
    Split,
    refuse_architecture,
    register_importer,
)
from pixelwise.recipes.families.segformer import SegFormerSpec

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

_OPENMMLAB_RULES = (
    (r"^(?:encoder|backbone)\.layers\.(\d)\.0\.projection\.", r"encoder.stages.\1.embedding.conv."),
    (r"^(?:encoder|backbone)\.layers\.(\d)\.0\.norm\.", r"encoder.stages.\1.embedding.norm."),
    (r"^(?:encoder|backbone)\.layers\.(\d)\.1\.(\d+)\.", r"encoder.stages.\1.blocks.\2."),
    (r"^(?:encoder|backbone)\.layers\.(\d)\.2\.", r"encoder.stages.\1.norm."),
    (r"\.attn\.attn\.out_proj\.", ".attention.output."),
    (r"\.attn\.sr\.", ".attention.reduction."),
    (r"\.attn\.norm\.", ".attention.reduction_norm."),
    (r"\.ffn\.layers\.0\.", ".feed_forward.expand."),
    (r"\.ffn\.layers\.1\.", ".feed_forward.depthwise."),
    (r"\.ffn\.layers\.4\.", ".feed_forward.project."),
    (r"^(?:decoder|decode_head)\.convs\.(\d)\.conv\.", r"head.projections.\1.conv."),
    (r"^(?:decoder|decode_head)\.convs\.(\d)\.bn\.", r"head.projections.\1.norm."),
    (r"^(?:decoder|decode_head)\.fusion_conv\.conv\.", "head.fusion.conv."),
    (r"^(?:decoder|decode_head)\.fusion_conv\.bn\.", "head.fusion.norm."),
    (r"^(?:decoder|decode_head)\.conv_seg\.", "head.classifier."),
)
_OPENMMLAB_TENSORS = (
    # nn.MultiheadAttention keeps query, key and value in one matrix.
    Split(
        pattern=r"(.+)\.attn\.attn\.in_proj_(weight|bias)",
        parts=((r"\1.attention.query.\2", 1), (r"\1.attention.key_value.\2", 2)),
    ),
)

_HUGGINGFACE_RULES = (
    # The published files' names become those of transformers 5, which are then translated.
    (r"^segformer\.encoder\.patch_embeddings\.(\d)\.", r"segformer.stages.\1.patch_embeddings."),
    (r"^segformer\.encoder\.block\.(\d)\.(\d+)\.", r"segformer.stages.\1.blocks.\2."),
    (r"^segformer\.encoder\.layer_norm\.(\d)\.", r"segformer.stages.\1.layer_norm."),
    (r"\.attention\.self\.query\.", ".attention.q_proj."),
    (r"\.attention\.self\.key_value\.", ".attention.key_value."),
    (r"\.attention\.self\.sr\.", ".attention.sequence_reduction.sequence_reduction."),
    (r"\.attention\.self\.layer_norm\.", ".attention.sequence_reduction.layer_norm."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.mlp\.dense(\d)\.", r".mlp.fc\1."),
    (r"\.layer_norm_1\.", ".layernorm_before."),
    (r"\.layer_norm_2\.", ".layernorm_after."),
    (r"^decode_head\.linear_c\.", "decode_head.linear_projections."),
    (r"^segformer\.stages\.", "encoder.stages."),
    (r"\.patch_embeddings\.proj\.", ".embedding.conv."),
    (r"\.patch_embeddings\.layer_norm\.", ".embedding.norm."),
    (r"^(encoder\.stages\.\d)\.layer_norm\.", r"\1.norm."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.q_proj\.", ".attention.query."),
    (r"\.attention\.o_proj\.", ".attention.output."),
    (r"\.attention\.sequence_reduction\.sequence_reduction\.", ".attention.reduction."),
    (r"\.attention\.sequence_reduction\.layer_norm\.", ".attention.reduction_norm."),
    (r"\.mlp\.fc1\.", ".feed_forward.expand."),
    (r"\.mlp\.dwconv\.dwconv\.", ".feed_forward.depthwise."),
    (r"\.mlp\.fc2\.", ".feed_forward.project."),
    (r"^decode_head\.linear_projections\.(\d)\.proj\.", r"head.projections.\1."),
    (r"^decode_head\.linear_fuse\.", "head.fusion.conv."),
    (r"^decode_head\.batch_norm\.", "head.fusion.norm."),
    (r"^decode_head\.classifier\.", "head.classifier."),
)
_HUGGINGFACE_TENSORS = (
    Join(
        pattern=r"(.+\.attention)\.k_proj\.(weight|bias)",
        others=(r"\1.v_proj.\2",),
        key=r"\1.key_value.\2",
    ),
    Join(
        pattern=r"(.+\.attention\.self)\.key\.(weight|bias)",
        others=(r"\1.value.\2",),
        key=r"\1.key_value.\2",
    ),
    # There the scales are concatenated from coarse to fine, here from fine to coarse.
    Regroup(pattern=r"decode_head\.linear_fuse\.weight", order=(3, 2, 1, 0)),
)

CLASSIFIERS = {
    "united-perception": "decoder.conv_seg",
    "mmsegmentation": "decode_head.conv_seg",
    "huggingface": "decode_head.classifier",
}
"""Source -> name of the classifier; its outputs are the classes, in order."""

PREFIXES = {
    "united-perception": ("encoder.layers.", "decoder."),
    "mmsegmentation": ("backbone.layers.", "decode_head."),
    "huggingface": ("segformer.", "decode_head."),
}
"""Source -> key prefixes of the encoder and the head."""

HEADS = {"united-perception": "convolution", "mmsegmentation": "convolution", "huggingface": "mlp"}
"""Source -> `SegFormerSpec.head` of its networks."""

_FIRST_EMBEDDING = (
    r"(?:encoder|backbone)\.layers\.0\.0\.projection\.weight",
    r"segformer\.(?:encoder\.patch_embeddings\.0|stages\.0\.patch_embeddings)\.proj\.weight",
)
_BLOCK = (
    r"(?:encoder|backbone)\.layers\.(\d)\.1\.(\d+)\.norm1\.weight",
    r"segformer\.(?:encoder\.block\.(\d)\.(\d+)\.layer_norm_1|stages\.(\d)\.blocks\.(\d+)\.layernorm_before)\.weight",
)

_HRNET_EVIDENCE = "encoder.transition1.0.0.weight"
"""A key of United Perception's HRNets, whose files have the prefixes of its SegFormers."""


@register_importer("united-perception", "segformer")
@register_importer("mmsegmentation", "segformer", swaps_average=True)
@register_importer("huggingface", "segformer")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`.

    Raises:
        CheckpointError: K402, the weights are not of a SegFormer of that source, or have another
            encoder or head than the model.
    """
    spec = model.spec
    if not isinstance(spec, SegFormerSpec):
        raise TypeError(f"expected a SegFormer; got a model of {type(spec).__name__}")
    _check_source(source, state)
    if spec.head != HEADS[source]:
        raise refuse_architecture(
            f"SegFormers of {source} have the head '{HEADS[source]}'; the model has the head '{spec.head}', "
            "which has other layers",
            f"build the model with model.head={HEADS[source]}",
        )
    _check_encoder(source, spec, state)
    classifier = CLASSIFIERS[source]
    width = getattr(state.get(f"{classifier}.weight"), "shape", (0, spec.channels))[1]
    if width != spec.channels:
        raise refuse_architecture(
            f"the head of the weights has {width} channels, the model's head {spec.channels}",
            f"build the model with model.channels={width}",
        )
    huggingface = source == "huggingface"
    return Conversion(
        rules=_HUGGINGFACE_RULES if huggingface else _OPENMMLAB_RULES,
        classifiers=((f"{classifier}.weight", 0), (f"{classifier}.bias", 0)),
        tensors=_HUGGINGFACE_TENSORS if huggingface else _OPENMMLAB_TENSORS,
    )


def encoder_conversion() -> Conversion:
    """Rules to read the encoder of a Hugging Face SegFormer, including classification networks."""
    return Conversion(rules=_HUGGINGFACE_RULES, classifiers=(), tensors=_HUGGINGFACE_TENSORS)


def openmmlab_encoder_conversion() -> Conversion:
    """Rules to read the encoder of a SegFormer of OpenMMLab's libraries."""
    return Conversion(rules=_OPENMMLAB_RULES, classifiers=(), tensors=_OPENMMLAB_TENSORS)


def _check_source(source: str, state: Mapping[str, Any]) -> None:
    missing = [prefix for prefix in PREFIXES[source] if not any(key.startswith(prefix) for key in state)]
    if not missing:
        return
    fitting = [
        other
        for other, prefixes in PREFIXES.items()
        if all(any(key.startswith(prefix) for key in state) for prefix in prefixes)
    ]
    if fitting:
        help = f"the keys are those of `source` {fitting[0]}"
    elif _HRNET_EVIDENCE in state:
        help = "the keys are those of an HRNet: build the model from a recipe of the family hrnet or ocrnet"
    else:
        help = "name the system that wrote the file with `source`"
    shown = ", ".join(list(state)[:3]) or "none"
    raise refuse_architecture(
        f"these are not the weights of a SegFormer of {source}: no key starts with '{missing[0]}'; first keys: {shown}",
        help,
    )


def _check_encoder(source: str, spec: SegFormerSpec, state: Mapping[str, Any]) -> None:
    from pixelwise.backbones.mit import VARIANTS

    if spec.encoder not in VARIANTS:
        raise refuse_architecture(
            f"SegFormers of {source} have a MiT encoder; the model's encoder is '{spec.encoder}'",
            "build the model with the file's encoder: model.encoder=mit_b0 .. mit_b5",
        )
    theirs = _variant(state)
    if theirs is not None and theirs != spec.encoder:
        raise refuse_architecture(
            f"the weights are of the encoder '{theirs}'; the model's is '{spec.encoder}'",
            f"build the model with model.encoder={theirs}",
        )


def _variant(state: Mapping[str, Any]) -> str | None:
    """Name of the MiT encoder with the weights' blocks per stage and first width; None if there is none."""
    from pixelwise.backbones.mit import VARIANTS

    blocks: set[tuple[int, int]] = set()
    width = 0
    for key, value in state.items():
        if hasattr(value, "shape") and _matches(_FIRST_EMBEDDING, key):
            width = len(value)
        match = _matches(_BLOCK, key)
        if match is not None:
            stage, block = (int(number) for number in match.groups() if number is not None)
            blocks.add((stage, block))
    depths = tuple(sum(stage == here for here, _ in blocks) for stage in range(4))
    for name, variant in VARIANTS.items():
        if variant.depths == depths and variant.channels[0] == width:
            return name
    return None


def _matches(patterns: Iterable[str], key: str) -> re.Match[str] | None:
    return next((match for pattern in patterns if (match := re.fullmatch(pattern, key))), None)
