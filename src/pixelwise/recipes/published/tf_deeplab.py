"""The published rows of TensorFlow's DeepLab (Apache-2.0), reconstructed: no PyTorch original is public."""

from __future__ import annotations

from typing import Any

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.tf_deeplab import TFDeepLabSpec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Original, Recipe

ORIGIN = Origin("004", "TI EdgeAI, segmentation benchmark", "tensorflow/models research/deeplab", "Apache-2.0")
TRAINED = "The parameters include scale and shift of the normalisations, which TensorFlow trains. "
RECONSTRUCTION = TRAINED + "Reconstruction: the page counts with another tool."
CROP_769 = TRAINED + "The page's 769x769 is the training crop; its GMACs are at 2049x1025."
FLOPS = CROP_769 + " Its 15.95 counts multiplications and additions apart; the published code gives this."

# Matching weights of timm by encoder.
WEIGHTS = {"mobilenetv2_100": "mobilenetv2_100.ra_in1k", "xception65": "xception65.tf_in1k"}
# Id, encoder, output stride; published mIoU and GMACs; outputs, parameters and GMACs as counted; note.
ROWS = (
    ("deeplabv3-mobilenetv2-050-voc", "mobilenetv2_050", 8, 66.94, 2.77, 21, "697013", 2.7353, RECONSTRUCTION),
    ("deeplabv3-mobilenetv2-voc", "mobilenetv2_100", 8, 72.66, 8.60, 21, "2113557", 8.5649, RECONSTRUCTION),
    ("deeplabv3plus-xception65-voc", "xception65", 8, 81.74, 171.77, 21, "41055413", 171.594, RECONSTRUCTION),
    ("deeplab-mobilenetv2-cityscapes", "mobilenetv2_100", 16, 70.71, 21.27, 19, "2113043", 21.2331, CROP_769),
    ("deeplab-mobilenetv3-cityscapes", "mobilenetv3_large_seg", 32, 72.41, 15.95, 19, "1507198", 7.581, FLOPS),
    ("deeplab-xception65-cityscapes", "xception65", 16, 78.79, 418.64, 19, "41054899", 418.376, CROP_769),
)


def deeplab_row(name: str, encoder: str, stride: int, *numbers: Any) -> Recipe:
    """One row of the page; `numbers` are the remaining columns of `ROWS`."""
    miou, printed, outputs, count, gmacs, note = numbers
    voc = name.endswith("-voc")
    return row(
        name, f"DeepLab of TensorFlow, {encoder} at output stride {stride}, on {'voc-aug' if voc else 'cityscapes'}",
        TFDeepLabSpec(encoder=encoder, output_stride=stride),  # type: ignore[arg-type]
        Data(dataset="voc-aug", train_split="train_aug") if voc else Data(dataset="cityscapes"),
        ORIGIN, Score(
            miou, "tf-deeplab-512x512" if voc else "tf-deeplab-2049x1025",
          Original(outputs=outputs, parameters=count, gmacs=gmacs, note=note, size=(512, 512) if voc else (1025, 2049),
                   tolerance=0.015 if note == RECONSTRUCTION else 0.001), printed={"gmacs": printed}),
        weights=(WEIGHTS.get(encoder, "none"), "Apache-2.0" if encoder in WEIGHTS else "", "ImageNet-1k"),
        **(procedures.tf_deeplab((513, 513), 30_000) if voc else procedures.tf_deeplab((769, 769), 90_000)),
    )  # fmt: skip


RECIPES = register(*(deeplab_row(*entry) for entry in ROWS))
