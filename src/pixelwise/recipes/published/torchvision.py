"""The published torchvision rows (BSD-3): three of its own checkpoints, two trained by TI on Cityscapes."""

from __future__ import annotations

from typing import Any

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.deeplabv3 import DeepLabV3Spec
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.lraspp import LRASPPSpec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Original, Recipe

ORIGIN = Origin("004", "TI EdgeAI, segmentation benchmark", "pytorch/vision references/segmentation", "BSD-3-Clause")
MNV3 = "mobilenet_v3_large_dilated"
RESNET = ("resnet50.tv_in1k", "BSD-3-Clause", "the same")
MOBILE = ("mobilenetv3_large_100.ra_in1k", "Apache-2.0", "torchvision, ImageNet-1k")
WITH_AUXILIARY = "Parameters with the auxiliary head, GMACs without it; torchvision's own count includes it: "


def torchvision_row(
    name: str, spec: Any, miou: float, parameters: str, gmacs: float | None, note: str = "", printed: float = 0.0
) -> Recipe:
    """One row of the page."""
    cityscapes, small = "-cityscapes-" in name, spec.encoder == MNV3
    dataset = "cityscapes" if cityscapes else "cocoseg21"
    return row(
        name, f"{type(spec).__name__.removesuffix('Spec')} of torchvision, {spec.encoder}, on {dataset}",
        spec, Data(dataset=dataset), ORIGIN,
        Score(miou, "torchvision-1040x520" if cityscapes else "torchvision-520",
              Original(outputs=19 if cityscapes else 21, parameters=parameters, gmacs=gmacs, note=note,
                       size=(520, 1040) if cityscapes else (520, 520)),
              printed={"gmacs": printed or None}), weights=MOBILE if small else RESNET,
        **procedures.torchvision((480, 960) if cityscapes else (480, 480), mobile=small,
                                 auxiliary=getattr(spec, "auxiliary_channels", None) is not None),
    )  # fmt: skip


RECIPES = register(
    torchvision_row("lraspp-mobilenetv3-large-cocoseg21", LRASPPSpec(encoder=MNV3), 57.9, "3221538", 2.0862),
    torchvision_row("deeplabv3-mobilenetv3-large-cocoseg21",
                    DeepLabV3Spec(encoder=MNV3, auxiliary_channels=10, auxiliary_feature=2),
                    60.3, "11029328", 10.4364, WITH_AUXILIARY + "10.452."),
    torchvision_row("deeplabv3-r50-cocoseg21", DeepLabV3Spec(output_stride=8, auxiliary_channels=256),
                    66.4, "42004074", None, WITH_AUXILIARY + "178.7219."),
    torchvision_row("fcn-r50-cityscapes-1040x520", FCNSpec(output_stride=8, convolutions=1), 71.6, "32955987", 285.4429,
                    "Counted without an auxiliary head.", 285.4),
    torchvision_row("deeplabv3-r50-cityscapes-1040x520", DeepLabV3Spec(output_stride=8), 73.5, "39.638M", 337.4576,
                    "Counted without an auxiliary head.", 337.5),
)  # fmt: skip
