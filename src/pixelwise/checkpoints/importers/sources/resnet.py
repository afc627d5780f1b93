"""Key layouts of FCN and PSPNet on a ResNet in sssegmentation and mmsegmentation; facts only, no code.

Both use the ResNet with a stem of three 3x3 convolutions, `resnet50c` or `resnet101c` here. The
output stride leaves no trace in the weights: a file of stride 16 loads into a model of stride 8.
mmsegmentation's auxiliary head has 256 channels; in a model with 512 the head keeps its initial weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.pspnet import PSPNetSpec

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

Rules = tuple[tuple[str, str], ...]

STAGE = 3
"""The stage whose depth distinguishes the ResNets."""

_ENCODERS = {"sssegmentation": "backbone_net", "mmsegmentation": "backbone"}
"""Source -> its name for the encoder."""

_AUXILIARY: dict[str, Rules] = {
    "sssegmentation": (
        (r"^auxiliary_decoder\.0\.", "auxiliary.convs.0.conv."),
        (r"^auxiliary_decoder\.1\.", "auxiliary.convs.0.norm."),
        (r"^auxiliary_decoder\.4\.", "auxiliary.classifier."),
    ),
    "mmsegmentation": (
        (r"^auxiliary_head\.convs\.0\.conv\.", "auxiliary.convs.0.conv."),
        (r"^auxiliary_head\.convs\.0\.bn\.", "auxiliary.convs.0.norm."),
        (r"^auxiliary_head\.conv_seg\.", "auxiliary.classifier."),
    ),
}
_AUXILIARY_CLASSIFIERS = {"sssegmentation": "auxiliary_decoder.4", "mmsegmentation": "auxiliary_head.conv_seg"}

_PSPNET: dict[str, Rules] = {
    "sssegmentation": (
        (r"^ppm_net\.branches\.(\d+)\.1\.", r"pooling.branches.\1.conv."),
        (r"^ppm_net\.branches\.(\d+)\.2\.", r"pooling.branches.\1.norm."),
        (r"^ppm_net\.bottleneck\.0\.", "pooling.project.conv."),
        (r"^ppm_net\.bottleneck\.1\.", "pooling.project.norm."),
        (r"^decoder\.1\.", "classifier."),
    ),
    "mmsegmentation": (
        (r"^decode_head\.psp_modules\.(\d+)\.1\.conv\.", r"pooling.branches.\1.conv."),
        (r"^decode_head\.psp_modules\.(\d+)\.1\.bn\.", r"pooling.branches.\1.norm."),
        (r"^decode_head\.bottleneck\.conv\.", "pooling.project.conv."),
        (r"^decode_head\.bottleneck\.bn\.", "pooling.project.norm."),
        (r"^decode_head\.conv_seg\.", "classifier."),
    ),
}
_PSPNET_CLASSIFIERS = {"sssegmentation": "decoder.1", "mmsegmentation": "decode_head.conv_seg"}
_PSPNET_POOLING = {"sssegmentation": "ppm_net.", "mmsegmentation": "decode_head.psp_modules."}


@register_importer("sssegmentation", "fcn", "pspnet")
@register_importer("mmsegmentation", "pspnet", swaps_average=True)
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` of `source`, `sssegmentation` or `mmsegmentation`, into `model`.

    Raises:
        CheckpointError: K402, the weights have another head or encoder than the model.
    """
    _check_head(source, model, state)
    _check_encoder(source, model, state)
    if isinstance(model.spec, FCNSpec):
        classifier, head = _fcn(model.spec.convolutions)
    else:
        classifier, head = _PSPNET_CLASSIFIERS[source], _PSPNET[source]
    auxiliary = _AUXILIARY_CLASSIFIERS[source]
    return Conversion(
        rules=(*_encoder(_ENCODERS[source]), *head, *_AUXILIARY[source]),
        classifiers=tuple((f"{key}.{kind}", 0) for key in (classifier, auxiliary) for kind in ("weight", "bias")),
        optional=("auxiliary.",),
    )


def _encoder(theirs: str) -> Rules:
    """Rules for the encoder: their stem includes all three normalisations; timm keeps the last one outside the stem."""
    return (
        (rf"^{theirs}\.stem\.([0134])\.", r"encoder.network.conv1.\1."),
        (rf"^{theirs}\.stem\.6\.", "encoder.network.conv1.6."),
        (rf"^{theirs}\.stem\.7\.", "encoder.network.bn1."),
        (rf"^{theirs}\.layer", "encoder.network.layer"),
    )


def _fcn(convolutions: int) -> tuple[str, Rules]:
    """Name of the classifier and rules for the head: n times convolution, normalisation, ReLU; dropout; classifier."""
    rules = []
    for index in range(convolutions):
        rules.append((rf"^decoder\.{3 * index}\.", f"head.convs.{index}.conv."))
        rules.append((rf"^decoder\.{3 * index + 1}\.", f"head.convs.{index}.norm."))
    classifier = 3 * convolutions + 1
    return f"decoder.{classifier}", (*rules, (rf"^decoder\.{classifier}\.", "head.classifier."))


def _check_head(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> None:
    encoder = f"{_ENCODERS[source]}."
    if not any(key.startswith(encoder) for key in state):
        shown = ", ".join(list(state)[:3]) or "none"
        raise refuse_architecture(
            f"these are not the weights of an {source} network: no key starts with '{encoder}'; first keys: {shown}",
            "name the system that wrote the file with `source`",
        )
    pooled = any(key.startswith(_PSPNET_POOLING[source]) for key in state)
    if pooled != isinstance(model.spec, PSPNetSpec):
        theirs, ours = ("a PSPNet", "an FCN") if pooled else ("not a PSPNet", "a PSPNet")
        evidence = "has" if pooled else "has no"
        raise refuse_architecture(
            f"the checkpoint is {theirs} (it {evidence} '{_PSPNET_POOLING[source]}'); the model is {ours}",
            f"build the model from a recipe of the family {'pspnet' if pooled else 'fcn'}",
        )


def _check_encoder(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> None:
    encoder = cast("FCNSpec | PSPNetSpec", model.spec).encoder
    stem = f"{_ENCODERS[source]}.stem.0.weight"
    if stem not in state:
        raise refuse_architecture(
            f"the checkpoint's encoder is not a ResNet with a stem of three convolutions: it has no '{stem}'",
            f"only {source} networks on such a ResNet can be imported",
        )
    ours = model.state_dict()
    if "encoder.network.conv1.6.weight" not in ours:
        raise refuse_architecture(
            f"the checkpoint's encoder is a ResNet with a stem of three convolutions; the model's is '{encoder}'",
            "build the model with model.encoder=resnet50c or resnet101c",
        )
    check_depth(f"{_ENCODERS[source]}.", state, encoder, ours)


def check_depth(prefix: str, theirs: Mapping[str, Any], encoder: str, ours: Mapping[str, Any]) -> None:
    """Refuse a ResNet of another depth.

    Args:
        prefix: Key prefix of the encoder in `theirs`.
        theirs: Source weights.
        encoder: Name of the model's encoder, a ResNet of timm.
        ours: The model's state dict.

    Raises:
        CheckpointError: K402, the third stages have different numbers of blocks.
    """
    found = _blocks(f"{prefix}layer{STAGE}.", theirs)
    expected = _blocks(f"encoder.network.layer{STAGE}.", ours)
    if found != expected:
        raise refuse_architecture(
            f"the third stage of the checkpoint's ResNet has {found} blocks, that of '{encoder}' {expected}",
            "a ResNet-50 has 6 blocks there, a ResNet-101 23; set model.encoder accordingly",
        )


def _blocks(prefix: str, state: Mapping[str, Any]) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})
