"""The two rows of the EdgeAI page that are listed "for reference only": ERFNet and SwiftNet on Cityscapes."""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.real_time.erfnet import ERFNetSpec
from pixelwise.recipes.families.real_time.swiftnet import SwiftNetSpec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Original

TITLE = "TI EdgeAI, segmentation benchmark"
CITYSCAPES = Data(dataset="cityscapes")
TEST = "69.7 is close to the 69.8 of the test server in the code base's README, which has 72.1 on val."
RECIPES = register(
    row("erfnet-cityscapes", "ERFNet at 1024x512 on cityscapes, in two stages", ERFNetSpec(), CITYSCAPES,
        Origin("004", TITLE, "Eromera/erfnet_pytorch", "CC-BY-NC-4.0"), Score(69.7, "erfnet-1024x512",
        Original(outputs=20, parameters="2066836", gmacs=26.6127, size=(512, 1024),
                 note="The page prints 27.705; the original class with its 20 outputs counts this, with 19 26.604."),
        printed={"gmacs": 27.705, "note": TEST}), **procedures.erfnet((512, 1024))),
    row("swiftnet-mobilenetv2-cityscapes", "SwiftNet, single scale, MobileNetV2, on cityscapes",
        SwiftNetSpec(encoder="mobilenetv2_100"), CITYSCAPES,
        Origin("004", TITLE, "Orsic et al. 2019, arXiv:1903.08469", "unknown"), Score(75.3, "cityscapes-2048x1024",
        Original(outputs=19, parameters="2.369M", gmacs=38.154, size=(1024, 2048), tolerance=0.015,
                 note="The page prints 41.0. Adaptation: only the code of the ResNet-18 network is public."),
        printed={"gmacs": 41.0}), weights=("mobilenetv2_100.ra_in1k", "Apache-2.0", "ImageNet-1k"),
        **procedures.swiftnet()),
)  # fmt: skip
