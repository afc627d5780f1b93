"""Key layout of Eromera/erfnet_pytorch's weights and the order of its outputs; facts only, no code.

A file always holds the whole network, even if it was written by the training of the encoder alone; a model of
the encoder alone (`model.part=encoder`) loads only the encoder's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer
from pixelwise.recipes.families.real_time.erfnet import ERFNetSpec

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
"""Number of outputs -> index of "void": the last for Cityscapes."""

# The weight of a transposed convolution is (in, out, height, width).
_DECODER = (("decoder.output_conv.weight", 1), ("decoder.output_conv.bias", 0))
_ENCODER = (("encoder.output_conv.weight", 0), ("encoder.output_conv.bias", 0))


@register_importer("erfnet-pytorch", "erfnet")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`; `source` is always `erfnet-pytorch`.

    Raises:
        CheckpointError: K402, the weights are not of an ERFNet, or are of its encoder alone and the model is not.
    """
    if not any(key.startswith("encoder.initial_block.") for key in state):
        shown = ", ".join(list(state)[:3]) or "none"
        raise refuse_architecture(
            f"these are not the weights of an ERFNet: no key starts with 'encoder.initial_block.'; first keys: {shown}",
            "name the system that wrote the file with `source`",
        )
    if cast(ERFNetSpec, model.spec).part == "encoder":
        return Conversion(
            rules=RULES,
            classifiers=_ENCODER,
            unlabelled_output=UNLABELLED_OUTPUT,
            left_out=((r"decoder\..*", "the decoder, because the model is the encoder alone"),),
        )
    if "decoder.output_conv.weight" not in state:
        raise refuse_architecture(
            "the weights are of ERFNet's encoder alone, or of the one trained on ImageNet; the model has a decoder",
            "build the model with model.part=encoder",
        )
    return Conversion(
        rules=RULES,
        classifiers=(*_DECODER, *_ENCODER),
        unlabelled_output=UNLABELLED_OUTPUT,
        # A file meant for prediction alone may lack it.
        optional=("encoder.classifier.",),
    )
