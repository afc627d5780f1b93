"""Key layout of the weights of EfficientViT-Seg (mit-han-lab/efficientvit); facts only, no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

_SHARED = (
    (r"^backbone\.(stages_\d)\.op_list\.", r"encoder.network.\1.blocks."),
    (r"^head\.input_ops\.(\d)\.(?:op_list\.0\.)?", r"projections.\1."),
    (r"^head\.middle\.op_list\.(\d)\.main\.(?:inverted|spatial)_conv\.", r"blocks.\1.layers.0."),
    (r"^head\.middle\.op_list\.(\d)\.main\.depth_conv\.", r"blocks.\1.layers.1."),
)
_WIDENED = (
    (r"^head\.output_ops\.0\.op_list\.0\.", "widen."),
    (r"^head\.output_ops\.0\.op_list\.1\.conv\.", "classifier."),
)
_NOT_WIDENED = ((r"^head\.output_ops\.0\.op_list\.0\.conv\.", "classifier."),)
_STEM = {
    "b": (
        (r"^backbone\.input_stem\.op_list\.0\.", "encoder.network.stem_in_conv."),
        (r"^backbone\.input_stem\.op_list\.1\.", "encoder.network.stem_res0."),
        (r"^backbone\.stages\.", "backbone.stages_"),
    ),
    # The stem of the large networks is the first of their stages.
    "l": (
        (r"^backbone\.stages\.0\.op_list\.0\.", "encoder.network.stem_in_conv."),
        (r"^backbone\.stages\.0\.op_list\.1\.", "encoder.network.stem_res0."),
        (r"^backbone\.stages\.1\.", "backbone.stages_0."),
        (r"^backbone\.stages\.2\.", "backbone.stages_1."),
        (r"^backbone\.stages\.3\.", "backbone.stages_2."),
        (r"^backbone\.stages\.4\.", "backbone.stages_3."),
    ),
}
_LAST = {"b": 2, "l": 1}
"""Series -> position of the last layer of a block of the head."""


def rules(series: str, *, widened: bool) -> tuple[tuple[str, str], ...]:
    """(pattern, replacement) pairs; each key passes through all of them, in this order.

    Args:
        series: `b` or `l`.
        widened: Whether the classifier follows a convolution that widens the features.
    """
    last = (r"^head\.middle\.op_list\.(\d)\.main\.point_conv\.", rf"blocks.\1.layers.{_LAST[series]}.")
    return (*_STEM[series], *_SHARED, last, *(_WIDENED if widened else _NOT_WIDENED))


@register_importer("efficientvit", "efficientvit-seg")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state`, of the authors' EfficientViT-Seg, into `model`.

    Raises:
        CheckpointError: K402, the weights are of another network or of a classifier of images.
    """
    if not any(key.startswith("head.output_ops.0.op_list.") for key in state):
        shown = ", ".join(list(state)[:3]) or "none"
        raise refuse_architecture(
            f"these are not the weights of an EfficientViT-Seg; first keys: {shown}",
            "name the system that wrote the file with `source`; weights from ImageNet lack the head, and timm's go "
            "into the encoder with initialize.encoder",
        )
    series = "b" if any(key.startswith("backbone.input_stem.") for key in state) else "l"
    widened = "head.output_ops.0.op_list.1.conv.weight" in state
    classifier = f"head.output_ops.0.op_list.{int(widened)}.conv"
    return Conversion(
        rules=rules(series, widened=widened),
        classifiers=((f"{classifier}.weight", 0), (f"{classifier}.bias", 0)),
    )
