"""The published FCN and PSPNet rows of SegmentationBLWX/sssegmentation (Apache-2.0)."""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.pspnet import PSPNetSpec
from pixelwise.recipes.published import procedures
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Original, Recipe

# By data set: classes, crop, batch size, epochs, train split, protocol.
DATASETS = {
    "voc-aug": (21, (512, 512), 16, 60, "train_aug", "ssseg-2048x512"),
    "ade20k": (150, (512, 512), 16, 130, "train", "ssseg-2048x512"),
    "cityscapes": (19, (512, 1024), 8, 220, "train", "ssseg-2048x1024"),
}
ORIGINS = {
    "fcn": Origin("001", "sssegmentation, FCN", "SegmentationBLWX/sssegmentation@7f4b9a1d", "Apache-2.0"),
    "pspnet": Origin("003", "sssegmentation, PSPNet", "SegmentationBLWX/sssegmentation@a21d066a", "Apache-2.0"),
}
# Network; then mIoU, GMACs and parameters (with the auxiliary head), each for the three data sets in turn.
ROWS = """
fcn-r50-d8      66.86  36.96  75.16   149.28  149.55   298.56   40.067M  40.199M  40.065M
fcn-r50-d16     66.58  36.50  73.94    45.77   45.84    91.54   40.067M  40.199M  40.065M
fcn-r101-d8     69.86  41.22  76.31   226.86  227.13   453.71   59.059M  59.191M  59.057M
fcn-r101-d16    69.39  40.15  75.36    65.16   65.23   130.32   59.059M  59.191M  59.057M
pspnet-r50-d8   77.93  42.10  78.33   178.33  178.60   356.59   51.342M  51.475M  51.340M
pspnet-r50-d16  76.29  40.23  77.13    53.07   53.14   106.08   51.342M  51.475M  51.340M
pspnet-r101-d8  79.04  44.55  79.94   255.90  256.18   511.75   70.334M  70.467M  70.332M
pspnet-r101-d16 77.92  43.40  77.43    72.46   72.53   144.87   70.334M  70.467M  70.332M
"""


def resnet_row(network: str, dataset: str, miou: str, gmacs: str, parameters: str) -> Recipe:
    """One row of the two pages."""
    head, depth, stride = network.split("-")
    outputs, crop, batch, epochs, train_split, protocol = DATASETS[dataset]
    encoder = f"resnet{depth[1:]}c"
    stage = {"encoder": encoder, "output_stride": int(stride[1:])}
    spec = (FCNSpec if head == "fcn" else PSPNetSpec)(**stage, channels=512, auxiliary_channels=512)
    data = Data(dataset=dataset, train_split=train_split)  # type: ignore[arg-type]
    return row(
        f"{network}-{dataset}",
        f"{ORIGINS[head].title.split()[1]}, ResNet-{depth[1:]} at output stride {stride[1:]}, on {dataset}",
        spec, data, ORIGINS[head],
        Score(float(miou), protocol, Original(outputs=outputs, parameters=parameters, gmacs=float(gmacs), size=crop)),
        weights=(f"{encoder}.gluon_in1k", "Apache-2.0", "open-mmlab ResNet v1c, ImageNet-1k"),
        **procedures.sssegmentation(crop, batch, epochs),
    )  # fmt: skip


RECIPES = register(
    *(
        resnet_row(line[0], dataset, *line[1 + index :: 3])
        for head in ORIGINS
        for index, dataset in enumerate(DATASETS)
        for line in map(str.split, ROWS.strip().splitlines())
        if line[0].startswith(head)
    )
)
