"""The published TensorFlow DeepLab rows (tensorflow/models, research/deeplab, Apache-2.0): reconstructions.

No PyTorch original is public, so parameters and multiply-accumulates are what can be compared. The "769x769"
of the Cityscapes rows is the training crop; the printed GMACs are at 2049x1025. The training settings are the
code base's defaults; those of the published runs are not known.
"""

from __future__ import annotations

from pixelwise.recipes.rows import Origin, row
from pixelwise.recipes.schema import Augment, Data, Optimizer, Original, Recipe, Schedule
from pixelwise.recipes.specs import TFDeepLabSpec

ORIGIN = Origin("004", "TI EdgeAI, segmentation benchmark", "tensorflow/models research/deeplab", "Apache-2.0")
RECONSTRUCTION = "Reconstruction: the page counts with another tool."
CROP_769 = "The page's 769x769 is the training crop; its GMACs are at 2049x1025."
FLOPS = CROP_769 + " Its 15.95 counts multiplications and additions apart; the published code gives this."

# id, encoder, output stride, weights; mIoU and GMACs as printed, outputs, parameters, GMACs, tolerance, note.
ROWS = (
    ("deeplabv3-mobilenetv2-050-voc", "mobilenetv2_050", 8, "none",
     66.94, 2.77, 21, "0.680M", 2.7353, 0.015, RECONSTRUCTION),
    ("deeplabv3-mobilenetv2-voc", "mobilenetv2_100", 8, "mobilenetv2_100.ra_in1k",
     72.66, 8.60, 21, "2.080M", 8.5649, 0.015, RECONSTRUCTION),
    ("deeplabv3plus-xception65-voc", "xception65", 8, "xception65.tf_in1k",
     81.74, 171.77, 21, "40.853M", 171.594, 0.015, RECONSTRUCTION),
    ("deeplab-mobilenetv2-cityscapes", "mobilenetv2_100", 16, "mobilenetv2_100.ra_in1k",
     70.71, 21.27, 19, "2.080M", 21.2331, 0.001, CROP_769),
    ("deeplab-mobilenetv3-cityscapes", "mobilenetv3_large_seg", 32, "none",
     72.41, 15.95, 19, "1.488M", 7.581, 0.001, FLOPS),
    ("deeplab-xception65-cityscapes", "xception65", 16, "xception65.tf_in1k",
     78.79, 418.64, 19, "40.852M", 418.376, 0.001, CROP_769),
)  # fmt: skip


def deeplab_row(
    name: str, encoder: str, stride: int, weights: str, miou: float, printed: float, outputs: int, parameters: str,
    gmacs: float, tolerance: float, note: str,
) -> Recipe:  # fmt: skip
    """One row of the page."""
    voc = name.endswith("-voc")
    return row(
        name, f"DeepLab of TensorFlow, {encoder} at output stride {stride}, on {'voc-aug' if voc else 'cityscapes'}",
        TFDeepLabSpec(encoder=encoder, output_stride=stride),  # type: ignore[arg-type]
        Data(dataset="voc-aug", train_split="train_aug") if voc else Data(dataset="cityscapes"),
        ORIGIN, miou, "tf-deeplab-512x512" if voc else "tf-deeplab-2049x1025",
        Original(outputs=outputs, parameters=parameters, gmacs=gmacs, tolerance=tolerance, note=note,
                 size=(512, 512) if voc else (1025, 2049)),
        batch=16, printed={"gmacs": printed},
        weights=(weights, "" if weights == "none" else "Apache-2.0", "ImageNet-1k"),
        augment=Augment(scale=(0.5, 2.0), crop=(513, 513) if voc else (769, 769), flip=0.5),
        optimizer=Optimizer(kind="sgd", lr=0.007, momentum=0.9, weight_decay=4e-5),
        schedule=Schedule(iterations=30_000 if voc else 90_000, kind="poly", power=0.9),
    )  # fmt: skip


RECIPES = tuple(deeplab_row(*entry) for entry in ROWS)
