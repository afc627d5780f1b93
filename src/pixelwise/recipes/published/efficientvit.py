"""The published EfficientViT-Seg rows (mit-han-lab/efficientvit, Apache-2.0)."""

from __future__ import annotations

from typing import NamedTuple

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.efficientvit import EfficientViTSegSpec as Spec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Original, Recipe

ORIGIN = Origin("modern", "EfficientViT-Seg, README.md", "mit-han-lab/efficientvit@de7d773", "Apache-2.0")
NOTES = (
    "Training: the recipe of EfficientViT-Seg was never published in full. The paper names AdamW, a cosine and encoder "
    "weights from ImageNet, and the authors' code trains no segmentation; rates, weight decay, length, batch size, "
    "augmentation, loss and the head's initial weights here are not the authors', and the published score may be out "
    "of reach. Weights: which of the authors' ImageNet weights they began from is unpublished. Evaluation: the "
    "original enlarges logits by bicubic interpolation"
)


class Dataset(NamedTuple):
    """What the rows of a data set share: outputs, (height, width), protocol, and how the evaluation differs."""

    outputs: int
    size: tuple[int, int]
    protocol: str
    deviation: str = ""


DATASETS = {
    "cityscapes": Dataset(19, (1024, 2048), "cityscapes-2048x1024"),
    "ade20k": Dataset(
        150, (512, 512), "ssseg-2048x512",
        ", resizes images by it too, and stretches the longer side to the next multiple of 32",
    ),
}  # fmt: skip

SPECS = {
    "cityscapes": {
        "b0": Spec(encoder="efficientvit_b0", channels=32, depth=1),
        "b1": Spec(encoder="efficientvit_b1", channels=64, depth=3),
        "b2": Spec(encoder="efficientvit_b2", channels=96, depth=3),
        "b3": Spec(encoder="efficientvit_b3", channels=128, depth=3),
        "l1": Spec(encoder="efficientvit_l1", series="l", channels=256, depth=3, expansion=1, final_expansion=0),
        "l2": Spec(encoder="efficientvit_l2", series="l", channels=256, depth=5, expansion=1, final_expansion=0),
    },
    "ade20k": {
        "b1": Spec(encoder="efficientvit_b1", channels=64, depth=3, final_expansion=0),
        "b2": Spec(encoder="efficientvit_b2", channels=96, depth=3, final_expansion=0),
        "b3": Spec(encoder="efficientvit_b3", channels=128, depth=3, final_expansion=0),
        "l1": Spec(encoder="efficientvit_l1", series="l", channels=128, depth=3, final_expansion=8),
        "l2": Spec(encoder="efficientvit_l2", series="l", channels=128, depth=3, final_expansion=8),
    },
}
"""Data set -> size -> network."""
# mIoU on val, parameters, and GMACs at the size of the data set.
ROWS = """
b0-cityscapes 75.653 706691 4.3914
b1-cityscapes 80.547 4803443 25.1050
b2-cityscapes 82.073 15323779 73.6415
b3-cityscapes 83.016 39603155 179.2279
l1-cityscapes 82.716 40242227 282.4801
l2-cityscapes 83.228 52607923 396.1227
b1-ade20k 42.840 4791414 3.0904
b2-ade20k 45.941 15293382 9.0833
b3-ade20k 49.013 39546198 22.1738
l1-ade20k 49.191 40409526 36.3387
l2-ade20k 50.702 51462454 45.1753
"""


def published_row(line: str) -> Recipe:
    """The row of a network, from its line in the table."""
    name, miou, parameters, gmacs = line.split()
    size, dataset = name.split("-")
    data = DATASETS[dataset]
    counted = Original(outputs=data.outputs, parameters=parameters, gmacs=float(gmacs), size=data.size)
    return row(
        f"efficientvit-seg-{name}", f"EfficientViT-Seg {size.upper()} on {dataset}",
        SPECS[dataset][size], Data(dataset=dataset), ORIGIN,  # type: ignore[arg-type]
        Score(float(miou), data.protocol, counted),
        weights=(f"efficientvit_{size}.r224_in1k", "Apache-2.0", "the authors' EfficientViT from ImageNet"),
        notes=f"{NOTES}{data.deviation}.", **procedures.efficientvit(dataset),
    )  # fmt: skip


RECIPES = register(*map(published_row, ROWS.strip().splitlines()))
