"""Key layout of United Perception's HRNet and OCR networks; facts only, no code.

Files of HRNet-Semantic-Segmentation, whose graph is the same, are read as well: there the encoder and the
head have no prefix (or `model.` before every key), and some normalisations are wrapped with their ReLU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer
from pixelwise.recipes.families.hrnet import HRNetSpec, OCRNetSpec

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

_OFFICIAL = (
    (r"^model\.", ""),
    (r"^((?:conv|bn)[12]|layer1|transition\d|stage\d)\.", r"encoder.\1."),
    (r"^(last_layer|aux_head|conv3x3_ocr|ocr_distri_head|cls_head)\.", r"decoder.\1."),
    # The second convolution follows a wrapped normalisation and ReLU there, so its index is one lower.
    (r"\.(f_pixel|f_object)\.3\.0\.", r".\1.4."),
    (r"\.(f_pixel|f_object)\.2\.", r".\1.3."),
    (r"\.(f_pixel|f_object|f_down|f_up|conv_bn_dropout)\.1\.0\.", r".\1.1."),
)
_HEADS = (
    (r"^decoder\.last_layer\.", "head."),
    (r"^decoder\.aux_head\.", "soft_regions."),
    (r"^(head|soft_regions)\.0\.", r"\1.mix.conv."),
    (r"^(head|soft_regions)\.1\.", r"\1.mix.norm."),
    (r"^(head|soft_regions)\.3\.", r"\1.classifier."),
)
_OCR = (
    (r"^decoder\.conv3x3_ocr\.", "pixels."),
    (r"^decoder\.ocr_distri_head\.conv_bn_dropout\.", "fusion."),
    (r"^decoder\.cls_head\.", "classifier."),
    (r"^decoder\.ocr_distri_head\.object_context_block\.", "attention."),
    (r"^attention\.f_pixel\.", "attention.query."),
    (r"^attention\.f_object\.", "attention.key."),
    (r"^attention\.f_down\.", "attention.value."),
    (r"^attention\.f_up\.", "attention.output."),
    # First the pairs of consecutive convolutions, then the single ones.
    (r"^attention\.(query|key)\.0\.", r"attention.\1.0.conv."),
    (r"^attention\.(query|key)\.1\.", r"attention.\1.0.norm."),
    (r"^attention\.(query|key)\.3\.", r"attention.\1.1.conv."),
    (r"^attention\.(query|key)\.4\.", r"attention.\1.1.norm."),
    (r"^(pixels|fusion|attention\.value|attention\.output)\.0\.", r"\1.conv."),
    (r"^(pixels|fusion|attention\.value|attention\.output)\.1\.", r"\1.norm."),
)
RULES = _OFFICIAL + _HEADS + _OCR
"""(pattern, replacement) pairs; each key passes through all of them, in this order. The encoder's keys are the same."""

_CLASSIFIERS = {"hrnet": ("last_layer.3",), "ocrnet": ("cls_head", "aux_head.3")}
"""Family -> names of the classifiers in the head, main classifier first."""

_SEGFORMER_EVIDENCE = "encoder.layers."
"""Key prefix of United Perception's SegFormers, which have the same source."""

_LEFT_OUT = ((r"(model\.)?loss\..*", "the weights of the loss"),)


@register_importer("united-perception", "hrnet", "ocrnet")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`; `source` is always `united-perception`.

    Raises:
        CheckpointError: K402, the weights are not of an HRNet, or have the other head or another variant.
    """
    spec = cast("HRNetSpec | OCRNetSpec", model.spec)
    family = "ocrnet" if isinstance(spec, OCRNetSpec) else "hrnet"
    encoder, head = _prefixes(state)
    theirs = "ocrnet" if f"{head}cls_head.weight" in state else "hrnet"
    if theirs != family:
        raise refuse_architecture(
            f"the weights have {'an OCR head' if theirs == 'ocrnet' else 'no OCR head'}; "
            f"the model is of the family {family}",
            f"build the model from a recipe of the family {theirs}",
        )
    variant = _variant(state, encoder)
    if variant is not None and variant != spec.variant:
        raise refuse_architecture(
            f"the weights are of HRNet's variant {variant}; the model is {spec.variant}",
            f"build the model with model.variant={variant}",
        )
    return Conversion(
        rules=RULES,
        classifiers=tuple((f"{head}{name}.{part}", 0) for name in _CLASSIFIERS[family] for part in ("weight", "bias")),
        left_out=_LEFT_OUT,
    )


def _prefixes(state: Mapping[str, Any]) -> tuple[str, str]:
    """Key prefixes of the encoder and the head."""
    for encoder, head in (("encoder.", "decoder."), ("", ""), ("model.", "model.")):
        if f"{encoder}transition1.0.0.weight" in state:
            return encoder, head
    if any(key.startswith(_SEGFORMER_EVIDENCE) for key in state):
        help = "the keys are those of a SegFormer: build the model from a recipe of the family segformer"
    else:
        help = "name the system that wrote the file with `source`"
    shown = ", ".join(list(state)[:3]) or "none"
    raise refuse_architecture(
        f"these are not the weights of an HRNet: no key is 'encoder.transition1.0.0.weight'; first keys: {shown}",
        help,
    )


def _variant(state: Mapping[str, Any], encoder: str) -> str | None:
    """The variant with the width and numbers of bottlenecks and exchanges of the weights; None if it is unknown."""
    from pixelwise.backbones.hrnet import VARIANTS

    width = len(state[f"{encoder}transition1.0.0.weight"])
    bottlenecks = _count(state, encoder + "layer1.{}.conv1.weight")
    exchanges = tuple(_count(state, f"{encoder}stage{stage}." + "{}.branches.0.0.conv1.weight") for stage in (2, 3, 4))
    for name, known in VARIANTS.items():
        if (width, bottlenecks, exchanges) == (known.channels[0], known.bottlenecks, known.exchanges):
            return name
    return None


def _count(state: Mapping[str, Any], key: str) -> int:
    """Number of consecutive keys in `state` with 0, 1, 2, ... in place of the braces."""
    number = 0
    while key.format(number) in state:
        number += 1
    return number
