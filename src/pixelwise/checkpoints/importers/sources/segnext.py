"""Key layouts of SegNeXts of its authors (Visual-Attention-Network/SegNeXt) and of mmsegmentation; facts only, no code.

They differ in one place: the authors wrap the depthwise convolution of the feed-forward parts in a module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer
from pixelwise.recipes.families.segnext import SegNeXtSpec

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

_ENCODER = ((r"\.mlp\.dwconv\.dwconv\.", ".mlp.dwconv."), (r"^backbone\.", "encoder."))
RULES = (
    *_ENCODER,
    (r"^decode_head\.(squeeze|align)\.gn\.", r"head.\1.norm."),
    (r"^decode_head\.(squeeze|align)\.", r"head.\1."),
    (r"^decode_head\.hamburger\.ham_in\.conv\.", "head.hamburger.before."),
    (r"^decode_head\.hamburger\.ham_out\.gn\.", "head.hamburger.after.norm."),
    (r"^decode_head\.hamburger\.ham_out\.", "head.hamburger.after."),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
)
"""(pattern, replacement) pairs; each key passes through all of them, in this order."""
_SQUEEZE = "decode_head.squeeze.conv.weight"


@register_importer("segnext", "segnext")
@register_importer("mmsegmentation", "segnext", swaps_average=True)
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state`, of a SegNeXt, into `model`; the bases of the factorisation are in no file.

    Raises:
        CheckpointError: K402, the weights are of another network, of an encoder alone, or of a head of another width.
    """
    spec = model.spec
    if not isinstance(spec, SegNeXtSpec):
        raise TypeError(f"expected a SegNeXt; got a model of {type(spec).__name__}")
    if _SQUEEZE not in state or not any(key.startswith("backbone.patch_embed1.proj.") for key in state):
        shown = ", ".join(list(state)[:3]) or "none"
        raise refuse_architecture(
            f"these are not the weights of a SegNeXt; first keys: {shown}",
            "name the system that wrote the file with `source`; weights of the encoder alone are given with "
            "initialize.encoder",
        )
    width = getattr(state[_SQUEEZE], "shape", (spec.channels,))[0]
    if width != spec.channels:
        raise refuse_architecture(
            f"the head of the weights has {width} channels, the model's head {spec.channels}",
            f"build the model with model.channels={width}",
        )
    return Conversion(
        rules=RULES,
        classifiers=(("decode_head.conv_seg.weight", 0), ("decode_head.conv_seg.bias", 0)),
        optional=("head.hamburger.factorisation.",),
    )


def encoder_conversion() -> Conversion:
    """Rules to read the encoder of the authors."""
    return Conversion(rules=_ENCODER, classifiers=())
