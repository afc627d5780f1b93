"""What the weights of Eromera/erfnet_pytorch are called and how its outputs are ordered; facts only.

A file always has the whole network, also the one that the encoder's own training writes: into a model of
the encoder alone its part is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer
from pixelwise.recipes.families.erfnet import ERFNetSpec

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

RULES = (
    (r"^encoder\.initial_block\.", "encoder.initial."),
    (r"^encoder\.output_conv\.", "encoder.classifier."),
    (r"^decoder\.layers\.", "decoder."),
    (r"^decoder\.output_conv\.", "classifier."),
    (r"\.conv3x1_1\.", ".first.vertical."),
    (r"\.conv1x3_1\.", ".first.horizontal."),
    (r"\.bn1\.", ".first.norm."),
    (r"\.conv3x1_2\.", ".second.vertical."),
    (r"\.conv1x3_2\.", ".second.horizontal."),
    (r"\.bn2\.", ".second.norm."),
    (r"\.bn\.", ".norm."),
)
"""(pattern, replacement) pairs; each key passes through all of them, in this order."""

UNLABELLED_OUTPUT = {20: 19}
"""Number of outputs -> which of them is "void": Cityscapes' last."""

# The weight of a transposed convolution is (in, out, height, width).
_DECODER = (("decoder.output_conv.weight", 1), ("decoder.output_conv.bias", 0))
_ENCODER = (("encoder.output_conv.weight", 0), ("encoder.output_conv.bias", 0))


@register_importer("erfnet-pytorch", "erfnet")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """How to read `state` into `model`; there is one source.

    Raises:
        CheckpointError: K402, the weights are of no ERFNet, or of the encoder that classifies ImageNet.
    """
    if not any(key.startswith("encoder.initial_block.") for key in state):
        shown = ", ".join(list(state)[:3]) or "none at all"
        raise refuse_architecture(
            "these are not the weights of an ERFNet: no key starts with 'encoder.initial_block.'; "
            f"the first keys: {shown}",
            "name the system that wrote the file with `source`",
        )
    if cast(ERFNetSpec, model.spec).part == "encoder":
        return Conversion(
            rules=RULES,
            classifiers=_ENCODER,
            unlabelled_output=UNLABELLED_OUTPUT,
            left_out=((r"decoder\..*", "the decoder, as the model is the encoder alone"),),
        )
    if "decoder.output_conv.weight" not in state:
        raise refuse_architecture(
            "the weights are of ERFNet's encoder alone, or of the one that classifies ImageNet; the model is whole",
            "build the model with model.part=encoder",
        )
    return Conversion(
        rules=RULES,
        classifiers=(*_DECODER, *_ENCODER),
        unlabelled_output=UNLABELLED_OUTPUT,
        # Whoever only predicts may have thrown it away.
        optional=("encoder.classifier.",),
    )
