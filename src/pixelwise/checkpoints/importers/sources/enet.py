"""Key layout of davidtvs/PyTorch-ENet's weights and the order of its outputs; facts only, no code.

Both graphs of the code base are supported, see `pixelwise.models.enet`. Files from before 2019-07
(`out_prelu`, slopes shared between layers) are of another network and are refused by their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer
from pixelwise.recipes.families.real_time.enet import ENetSpec

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

CLASSIFIER = "transposed_conv.weight"
CLASS_AXIS = 1
"""A transposed convolution's weight is (in, out, height, width)."""

UNLABELLED_OUTPUT = {12: 11, 20: 0}
"""Number of outputs -> index of "unlabelled": the last for CamVid, the first for Cityscapes."""

_BLOCKS = (
    (r"^initial_block\.main_branch\.", "initial.conv."),
    (r"^initial_block\.batch_norm\.", "initial.norm."),
    (r"^initial_block\.out_activation\.", "initial.activation."),
    (r"^(?:downsample|regular|dilated|asymmetric|upsample)(\d)_(\d)\.", r"stage\1.\2."),
    (r"^transposed_conv\.", "classifier."),
)
_PARTS = (
    (r"\.main_conv1\.0\.", ".main.conv."),
    (r"\.main_conv1\.1\.", ".main.norm."),
    (r"\.ext_conv1\.0\.", ".reduce.conv."),
    (r"\.ext_conv1\.1\.", ".reduce.norm."),
    (r"\.ext_conv1\.2\.", ".reduce.activation."),
    (r"\.ext_conv2\.0\.", ".middle.0.conv."),
    (r"\.ext_conv2\.1\.", ".middle.0.norm."),
    (r"\.ext_conv2\.2\.", ".middle.0.activation."),
    (r"\.ext_conv2\.3\.", ".middle.1.conv."),
    (r"\.ext_conv2\.4\.", ".middle.1.norm."),
    (r"\.ext_conv2\.5\.", ".middle.1.activation."),
    (r"\.ext_conv3\.0\.", ".expand.conv."),
    (r"\.ext_conv3\.1\.", ".expand.norm."),
    (r"\.ext_conv3\.2\.", ".expand.activation."),
    (r"\.out_activation\.", ".activation."),
    # The middle of an upsampling block is a transposed convolution alone.
    (r"^(stage[45]\.0\.middle)\.0\.", r"\1."),
)
_UPSAMPLING_ANY_SIZE = (
    # The expansion is `ext_conv2` here, because the transposed convolution has its own names.
    (r"^(stage[45]\.0)\.ext_conv2\.", r"\1.ext_conv3."),
    (r"\.ext_tconv1\.", ".middle.conv."),
    (r"\.ext_tconv1_bnorm\.", ".middle.norm."),
)
RULES = {
    "overlapping": _BLOCKS + _PARTS,
    "any-size": _BLOCKS + _UPSAMPLING_ANY_SIZE + _PARTS,
}
"""Graph -> (pattern, replacement) pairs; each key passes through all of them, in this order."""


@register_importer("pytorch-enet", "enet")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`; `source` is always `pytorch-enet`.

    Raises:
        CheckpointError: K402, the weights are not of an ENet, or are of its other graph.
    """
    if not any(key.startswith("initial_block.") for key in state):
        shown = ", ".join(list(state)[:3]) or "none"
        raise refuse_architecture(
            "these are not the weights of a PyTorch-ENet network: no key starts with 'initial_block.'; "
            f"first keys: {shown}",
            "name the system that wrote the file with `source`",
        )
    spec = cast(ENetSpec, model.spec)
    graph = "any-size" if any(".ext_tconv1." in key for key in state) else "overlapping"
    if graph != spec.graph:
        evidence = "has" if graph == "any-size" else "has no"
        raise refuse_architecture(
            f"the checkpoint is of the graph '{graph}' (it {evidence} 'upsample4_0.ext_tconv1'); "
            f"the model is of the graph '{spec.graph}'",
            f"build the model with model.graph={graph}",
        )
    return Conversion(rules=RULES[graph], classifiers=((CLASSIFIER, CLASS_AXIS),), unlabelled_output=UNLABELLED_OUTPUT)
