"""The published SegNeXt rows (Visual-Attention-Network/SegNeXt, Apache-2.0)."""

from __future__ import annotations

from typing import NamedTuple

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.segnext import SegNeXtSpec
from pixelwise.recipes.published.procedures import SQUARES, Sections, mmseg_augment
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Group, Loss, Optimizer, Original, Recipe, Schedule
from pixelwise.recipes.sizes import Size

ORIGIN = Origin("modern", "SegNeXt, README.md", "Visual-Attention-Network/SegNeXt@c87bcae", "Apache-2.0")
NOTES = (
    "Weights: the original starts from its authors' weights from ImageNet, which no library offers; give their file, "
    "or mmsegmentation's, with --weights. Bases of the factorisation: evaluation always begins from the same ones; the "
    "original draws them at random for every image, in evaluation too, so that its score is that of one draw."
)


class Dataset(NamedTuple):
    """What the rows of a data set share: outputs, (height, width), protocol, and how the evaluation differs."""

    outputs: int
    size: Size
    protocol: str
    deviation: str = ""


DATASETS = {
    "ade20k": Dataset(
        150, (512, 512), "ssseg-2048x512",
        " Evaluation: images keep their proportions; the original stretches both sides to multiples of 32.",
    ),
    "cityscapes": Dataset(19, (1024, 2048), "slide-1024x1024"),
}  # fmt: skip
SPECS = {
    "t": SegNeXtSpec(encoder="mscan_t"),
    "s": SegNeXtSpec(encoder="mscan_s"),
    "b": SegNeXtSpec(encoder="mscan_b", channels=512, bases=64),
    "l": SegNeXtSpec(encoder="mscan_l", channels=1024, bases=64),
}
# mIoU on val, the same with several scales and flipping, parameters, and GMACs at the size of the data set.
ROWS = """
t-ade20k 41.1 42.2 4263414 6.4043
s-ade20k 44.3 45.8 13932886 15.6463
b-ade20k 48.5 49.9 27636310 34.6626
l-ade20k 51.0 52.1 48926550 69.6857
t-cityscapes 79.8 81.4 4229747 50.1289
s-cityscapes 81.3 82.7 13899219 124.0643
b-cityscapes 82.6 83.8 27569107 274.8831
l-cityscapes 83.2 83.9 48792275 552.6494
"""


def published_row(line: str) -> Recipe:
    """The row of a network, from its line in the table."""
    name, miou, many, parameters, gmacs = line.split()
    size, dataset = name.split("-")
    data = DATASETS[dataset]
    counted = Original(outputs=data.outputs, parameters=parameters, gmacs=float(gmacs), size=data.size)
    return row(
        f"segnext-{name}", f"SegNeXt-{size.upper()} on {dataset}", SPECS[size], Data(dataset=dataset), ORIGIN,
        Score(float(miou), data.protocol, counted, printed={"note": f"{many} with several scales and flipping."}),
        weights=("none", "", f"mscan_{size}.pth"), notes=NOTES + data.deviation, **procedure(dataset),
    )  # fmt: skip


def procedure(dataset: str) -> Sections:
    """SegNeXt: AdamW, 160,000 iterations, linear decay, ten times the rate in the head, last weights.

    Everything decays except the encoder's normalisations; those of its stem do, as their names in the original do not
    tell what they are. The cross entropy is averaged over all pixels, ignored ones included. As in the code of that
    time, the decay counts from the first step.
    """
    groups = (Group(pattern=r"^head\.", lr=10.0), Group(pattern=r"^encoder\..*norm", weight_decay=0.0))
    return {
        "batch": 8 if dataset == "cityscapes" else 16,
        "augment": mmseg_augment(*SQUARES[dataset]),
        "loss": Loss(normalize="all"),
        "optimizer": Optimizer(kind="adamw", lr=6e-5, weight_decay=0.01, decay_all=True, groups=groups),
        "schedule": Schedule(
            iterations=160_000, power=1.0, warmup_iterations=1500, warmup_ratio=1e-6, decay_from="start"
        ),
    }


RECIPES = register(*map(published_row, ROWS.strip().splitlines()))
