"""Key layout of torchvision's segmentation networks; facts only, no code.

The networks are FCN and DeepLabV3 on a ResNet of output stride 8, and DeepLabV3 and LR-ASPP on its
dilated MobileNetV3-Large. The output stride and the atrous rates leave no trace in the weights, so
the model must have torchvision's: with other values the same weights would give other results.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer
from pixelwise.checkpoints.importers.sources.resnet import check_depth
from pixelwise.recipes.families.deeplabv3 import DeepLabV3Spec
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.lraspp import LRASPPSpec

if TYPE_CHECKING:
    from pixelwise.backbones.base import Encoder
    from pixelwise.models.base import SegmentationModel

Rules = tuple[tuple[str, str], ...]

RATES = (12, 24, 36)
RESNET_STRIDE = 8

_RESNET_STEM = "backbone.conv1.weight"
_MOBILENET_STEM = "backbone.0.0.weight"
_ENCODER = "encoder.network."

_HEADS = {"deeplabv3": "classifier.0.project.", "lraspp": "classifier.cbr.", "fcn": "classifier.0.weight"}
"""Family -> a key or key prefix that only this family has."""

_HEAD_RULES: dict[str, Rules] = {
    "fcn": (
        (r"^classifier\.0\.", "head.convs.0.conv."),
        (r"^classifier\.1\.", "head.convs.0.norm."),
        (r"^classifier\.4\.", "head.classifier."),
    ),
    "deeplabv3": (
        # The last branch (global mean) begins with the pooling, so its layers are numbered from 1.
        (rf"^classifier\.0\.convs\.{len(RATES) + 1}\.1\.", "aspp.pooled.conv."),
        (rf"^classifier\.0\.convs\.{len(RATES) + 1}\.2\.", "aspp.pooled.norm."),
        (r"^classifier\.0\.convs\.(\d)\.0\.", r"aspp.branches.\1.conv."),
        (r"^classifier\.0\.convs\.(\d)\.1\.", r"aspp.branches.\1.norm."),
        (r"^classifier\.0\.project\.0\.", "aspp.project.conv."),
        (r"^classifier\.0\.project\.1\.", "aspp.project.norm."),
        (r"^classifier\.1\.", "head.convs.0.conv."),
        (r"^classifier\.2\.", "head.convs.0.norm."),
        (r"^classifier\.4\.", "head.classifier."),
    ),
    "lraspp": (
        (r"^classifier\.cbr\.0\.", "project.conv."),
        (r"^classifier\.cbr\.1\.", "project.norm."),
        (r"^classifier\.scale\.1\.", "gate."),
        (r"^classifier\.(low|high)_classifier\.", r"\1_classifier."),
    ),
}
_CLASSIFIERS = {
    "fcn": ("classifier.4", "aux_classifier.4"),
    "deeplabv3": ("classifier.4", "aux_classifier.4"),
    "lraspp": ("classifier.low_classifier", "classifier.high_classifier"),
}
_AUXILIARY = (
    (r"^aux_classifier\.0\.", "auxiliary.convs.0.conv."),
    (r"^aux_classifier\.1\.", "auxiliary.convs.0.norm."),
    (r"^aux_classifier\.4\.", "auxiliary.classifier."),
)


@register_importer("torchvision", "fcn", "deeplabv3", "lraspp")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`; `source` is always `torchvision`.

    Raises:
        CheckpointError: K402, the weights have another head or encoder than the model, or the
            model has another output stride or other rates than torchvision's networks.
    """
    spec = cast("FCNSpec | DeepLabV3Spec | LRASPPSpec", model.spec)
    family = str(spec.__struct_config__.tag)
    _check_head(family, state)
    if isinstance(spec, DeepLabV3Spec) and spec.rates != RATES:
        raise refuse_architecture(
            f"torchvision's DeepLabV3 has the atrous rates {list(RATES)}, the model {list(spec.rates)}",
            f"build the model with 'model.rates={list(RATES)}'",
        )
    encoder = _resnet(model, spec.encoder, state) if _RESNET_STEM in state else _mobilenet(spec.encoder, state)
    return Conversion(
        rules=(*encoder, *_HEAD_RULES[family], *_AUXILIARY),
        classifiers=tuple((f"{key}.{kind}", 0) for key in _CLASSIFIERS[family] for kind in ("weight", "bias")),
        optional=("auxiliary.",),
    )


def _check_head(family: str, state: Mapping[str, Any]) -> None:
    found = [name for name, start in _HEADS.items() if any(key.startswith(start) for key in state)]
    if not found:
        shown = ", ".join(list(state)[:3]) or "none"
        raise refuse_architecture(
            "these are not the weights of a torchvision segmentation network: no key starts with "
            f"{' or '.join(_HEADS.values())}; first keys: {shown}",
            "name the system that wrote the file with `source`",
        )
    if family not in found:
        raise refuse_architecture(
            f"the checkpoint is of the family {found[0]} (it has '{_HEADS[found[0]]}'); the model is of {family}",
            f"build the model from a recipe of the family {found[0]}",
        )


def _resnet(model: SegmentationModel, encoder: str, state: Mapping[str, Any]) -> Rules:
    ours = model.state_dict()
    if f"{_ENCODER}conv1.weight" not in ours:
        raise refuse_architecture(
            f"the checkpoint's encoder is a ResNet; the model's is '{encoder}'",
            "build the model with model.encoder=resnet50",
        )
    check_depth("backbone.", state, encoder, ours)
    stride = cast("Encoder", model.encoder).strides[-1]
    if stride != RESNET_STRIDE:
        raise refuse_architecture(
            f"torchvision's ResNets have output stride {RESNET_STRIDE}, the model's encoder {stride}",
            f"build the model with model.output_stride={RESNET_STRIDE}",
        )
    return ((r"^backbone\.", _ENCODER),)


def _mobilenet(encoder: str, state: Mapping[str, Any]) -> Rules:
    if _MOBILENET_STEM not in state:
        raise refuse_architecture(
            f"the checkpoint's encoder is neither a ResNet nor a MobileNetV3: it has no '{_RESNET_STEM}' and no "
            f"'{_MOBILENET_STEM}'",
            "only torchvision networks on these two encoders can be imported",
        )
    from pixelwise.backbones.mobilenetv3 import NAME

    if encoder != NAME:
        raise refuse_architecture(
            f"the checkpoint's encoder is torchvision's dilated MobileNetV3-Large; the model's is '{encoder}'",
            f"build the model with model.encoder={NAME}",
        )
    return _mobilenet_rules()


def _mobilenet_rules() -> Rules:
    """Rules for MobileNetV3.

    torchvision numbers the layers: 0 is the stem, 1 to 15 are blocks, 16 is a convolution. timm numbers the stages
    and the blocks within each.
    """
    from pixelwise.backbones.mobilenetv3 import DEPTHS

    places = [f"{stage}.{block}" for stage, depth in enumerate(DEPTHS) for block in range(depth)]
    *blocks, last = places
    layers = [
        (r"^backbone\.0\.0\.", f"{_ENCODER}conv_stem."),
        (r"^backbone\.0\.1\.", f"{_ENCODER}bn1."),
        (rf"^backbone\.{len(places)}\.0\.", f"{_ENCODER}blocks.{last}.conv."),
        (rf"^backbone\.{len(places)}\.1\.", f"{_ENCODER}blocks.{last}.bn1."),
        *((rf"^backbone\.{index}\.block\.", f"{_ENCODER}blocks.{place}:") for index, place in enumerate(blocks, 1)),
    ]
    # The first block has no expansion; in the others the depthwise convolution is followed by the
    # projection, in some with a squeeze-and-excitation layer in between.
    parts = [
        (r"(\.0\.0):0\.0\.", r"\1.conv_dw."),
        (r"(\.0\.0):0\.1\.", r"\1.bn1."),
        (r"(\.0\.0):1\.0\.", r"\1.conv_pw."),
        (r"(\.0\.0):1\.1\.", r"\1.bn2."),
        (r":0\.0\.", ".conv_pw."),
        (r":0\.1\.", ".bn1."),
        (r":1\.0\.", ".conv_dw."),
        (r":1\.1\.", ".bn2."),
        (r":2\.fc1\.", ".se.conv_reduce."),
        (r":2\.fc2\.", ".se.conv_expand."),
        (r":[23]\.0\.", ".conv_pwl."),
        (r":[23]\.1\.", ".bn3."),
    ]
    return (*layers, *parts)
