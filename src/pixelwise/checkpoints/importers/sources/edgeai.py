"""Key layout of the pixel2pixel networks of TexasInstruments/edgeai-torchvision; facts only, no code.

DeepLabV3Lite, UNetLite and FPNLite on MobileNetV2 (keys as in torchvision) or RegNetX (keys as in pycls).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer
from pixelwise.recipes.families.lite import DeepLabV3LiteSpec, FPNLiteSpec, UNetLiteSpec

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

CLASSIFIER = "decoders.0.pred.1.0.weight"
CLASS_AXIS = 0

EVIDENCE = {"deeplabv3lite": "decoders.0.aspp.", "unetlite": "decoders.0.unet.", "fpnlite": "decoders.0.fpn."}
"""Family -> key prefix that only this family has."""

_MOBILENETV2_STAGES = (1, 2, 3, 4, 3, 3, 1)
"""Blocks per stage: torchvision numbers the blocks consecutively, timm within each stage."""
_MOBILENETV2_BLOCKS = tuple((stage, block) for stage, count in enumerate(_MOBILENETV2_STAGES) for block in range(count))

_MOBILENETV2 = (
    (r"^encoder\.features\.0\.0\.", "encoder.network.conv_stem."),
    (r"^encoder\.features\.0\.1\.", "encoder.network.bn1."),
    # The first block has no expansion: depthwise, then linear.
    (r"^encoder\.features\.1\.conv\.0\.0\.", "encoder.network.blocks.0.0.conv_dw."),
    (r"^encoder\.features\.1\.conv\.0\.1\.", "encoder.network.blocks.0.0.bn1."),
    (r"^encoder\.features\.1\.conv\.1\.", "encoder.network.blocks.0.0.conv_pw."),
    (r"^encoder\.features\.1\.conv\.2\.", "encoder.network.blocks.0.0.bn2."),
    *(
        (rf"^encoder\.features\.{index}\.conv\.", f"encoder.network.blocks.{stage}.{block}.conv.")
        for index, (stage, block) in enumerate(_MOBILENETV2_BLOCKS, start=1)
    ),
    (r"^(encoder\.network\.blocks\.\d\.\d)\.conv\.0\.0\.", r"\1.conv_pw."),
    (r"^(encoder\.network\.blocks\.\d\.\d)\.conv\.0\.1\.", r"\1.bn1."),
    (r"^(encoder\.network\.blocks\.\d\.\d)\.conv\.1\.0\.", r"\1.conv_dw."),
    (r"^(encoder\.network\.blocks\.\d\.\d)\.conv\.1\.1\.", r"\1.bn2."),
    (r"^(encoder\.network\.blocks\.\d\.\d)\.conv\.2\.", r"\1.conv_pwl."),
    (r"^(encoder\.network\.blocks\.\d\.\d)\.conv\.3\.", r"\1.bn3."),
)
_REGNETX = (
    (r"^encoder\.features\.stem\.", "encoder.network.stem."),
    (r"^encoder\.features\.(s\d\.b\d+)\.f\.a\.", r"encoder.network.\1.conv1.conv."),
    (r"^encoder\.features\.(s\d\.b\d+)\.f\.a_bn\.", r"encoder.network.\1.conv1.bn."),
    (r"^encoder\.features\.(s\d\.b\d+)\.f\.b\.", r"encoder.network.\1.conv2.conv."),
    (r"^encoder\.features\.(s\d\.b\d+)\.f\.b_bn\.", r"encoder.network.\1.conv2.bn."),
    (r"^encoder\.features\.(s\d\.b\d+)\.f\.c\.", r"encoder.network.\1.conv3.conv."),
    (r"^encoder\.features\.(s\d\.b\d+)\.f\.c_bn\.", r"encoder.network.\1.conv3.bn."),
    (r"^encoder\.features\.(s\d\.b\d+)\.proj\.", r"encoder.network.\1.downsample.conv."),
    (r"^encoder\.features\.(s\d\.b\d+)\.bn\.", r"encoder.network.\1.downsample.bn."),
)


def _pointwise(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Rules for a 1x1 convolution with its normalisation."""
    return (rf"^{theirs}\.0\.", f"{ours}.conv."), (rf"^{theirs}\.1\.", f"{ours}.norm.")


def _separable(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Rules for a grouped separable convolution."""
    return (*_pointwise(rf"{theirs}\.0", f"{ours}.grouped"), *_pointwise(rf"{theirs}\.1", f"{ours}.pointwise"))


def _aspp(theirs: str) -> tuple[tuple[str, str], ...]:
    return (
        *_pointwise(rf"{theirs}\.conv1x1", "aspp.branches.0"),
        *(rule for n in (1, 2, 3) for rule in _separable(rf"{theirs}\.aspp_bra{n}", f"aspp.branches.{n}")),
        *_pointwise(rf"{theirs}\.aspp_out", "aspp.project"),
    )


_PREDICTION = (
    *_pointwise(r"decoders\.0\.pred\.0", "prediction.grouped"),
    (r"^decoders\.0\.pred\.1\.0\.", "prediction.classifier."),
)
DECODERS = {
    "deeplabv3lite": (*_aspp(r"decoders\.0\.aspp"), *_pointwise(r"decoders\.0\.shortcut", "shortcut"), *_PREDICTION),
    "unetlite": (
        *_aspp(r"decoders\.0\.rfblock"),
        # Their lists start with an empty entry, for the coarsest scale.
        *(
            rule
            for n in (1, 2, 3, 4)
            for rule in _separable(rf"decoders\.0\.unet\.smooth_convs\.{n}", f"decoder.{n - 1}")
        ),
        *_PREDICTION,
    ),
    "fpnlite": (
        *_aspp(r"decoders\.0\.rfblock"),
        *(
            rule
            for n in (1, 2, 3)
            for rule in (
                *_pointwise(rf"decoders\.0\.fpn\.shortcuts\.{n}", f"decoder.{n - 1}.shortcut"),
                *_separable(rf"decoders\.0\.fpn\.smooth_convs\.{n}", f"decoder.{n - 1}.smooth"),
            )
        ),
        *_PREDICTION,
    ),
}
"""Family -> (pattern, replacement) pairs of its decoder."""


@register_importer("edgeai", "deeplabv3lite", "unetlite", "fpnlite")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`; `source` is always `edgeai`.

    Raises:
        CheckpointError: K402, the weights are of another family or have another encoder than the model.
    """
    spec = cast("DeepLabV3LiteSpec | UNetLiteSpec | FPNLiteSpec", model.spec)
    family = str(spec.__struct_config__.tag)
    found = [name for name, start in EVIDENCE.items() if any(key.startswith(start) for key in state)]
    if found != [family]:
        start = EVIDENCE[family]
        what = f"they are of the family {found[0]}" if found else f"no key starts with '{start}'"
        raise refuse_architecture(
            f"these are not the weights of a {family} network of edgeai-torchvision: {what}; "
            f"first keys: {', '.join(list(state)[:3]) or 'none'}",
            f"build a model of the family {found[0]}" if found else "name the system that wrote the file with `source`",
        )
    regnet = any(key.startswith("encoder.features.stem.") for key in state)
    if regnet != spec.encoder.startswith("regnetx"):
        theirs = "RegNetX" if regnet else "MobileNetV2"
        raise refuse_architecture(
            f"the weights are of a {theirs} encoder; the model's encoder is '{spec.encoder}'",
            "choose model.encoder accordingly",
        )
    encoder = _REGNETX if regnet else _MOBILENETV2
    return Conversion(rules=(*encoder, *DECODERS[family]), classifiers=((CLASSIFIER, CLASS_AXIS),))
