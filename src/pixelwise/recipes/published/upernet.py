"""The published UPerNet rows over Swin and ConvNeXt (open-mmlab/mmsegmentation, Apache-2.0)."""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.upernet import UPerNetSpec
from pixelwise.recipes.published.procedures import SQUARES, Sections, mmseg_augment
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Group, Loss, Optimizer, Original, Recipe, Schedule

ORIGIN = Origin("modern", "mmsegmentation, configs/{}", "open-mmlab/mmsegmentation@v1.2.2", "Apache-2.0")
SWIN_NOTES = (
    "Batch normalisation: with the statistics of all 16 images; in the original, with those of the two on each GPU."
)
CONVNEXT_NOTES = (
    "Precision: float32; the original trains in float16 where that is safe. Images whose sides are no multiples of 32, "
    "which only occur in evaluation, are padded; the original drops the rows and columns that remain."
)
# Size: mIoU on ADE20K's val, with several scales and flipping, parameters with 150 outputs, GMACs at 512x512.
SWIN = {
    "tiny": (44.41, 45.79, "59941862", 236.865),
    "small": (47.72, 49.24, "81259766", 260.584),
    "base": (47.99, 49.57, "121279716", 298.984),
}
# The same, then the probability that the last block is skipped, and the layers of the decay of rates.
CONVNEXT = {
    "tiny": (46.11, 46.62, "60242636", 234.636, 0.4, 6),
    "small": (48.56, 49.02, "81877196", 256.726, 0.3, 12),
    "base": (48.71, 49.54, "122102956", 292.356, 0.4, 12),
}


def over_swin(size: str) -> Recipe:
    """The row of a Swin on ADE20K."""
    whole, many, parameters, gmacs = SWIN[size]
    return row(
        f"upernet-swin-{size[0]}-ade20k", f"UPerNet over Swin-{size[0].upper()} on ade20k",
        UPerNetSpec(encoder=f"swin_{size}", drop_path=0.3, auxiliary_channels=256),
        Data(dataset="ade20k"), ORIGIN._replace(title=ORIGIN.title.format("swin")),
        score(whole, many, parameters, gmacs, "ssseg-2048x512"),
        weights=(f"swin_{size}_patch4_window7_224.ms_in1k", "MIT", f"swin_{size}_patch4_window7_224.pth, the same"),
        notes=SWIN_NOTES, **swin_procedure(),
    )  # fmt: skip


def over_convnext(size: str) -> Recipe:
    """The row of a ConvNeXt on ADE20K."""
    whole, many, parameters, gmacs, skipped, layers = CONVNEXT[size]
    return row(
        f"upernet-convnext-{size[0]}-ade20k", f"UPerNet over ConvNeXt-{size[0].upper()} on ade20k",
        UPerNetSpec(encoder=f"convnext_{size}", drop_path=skipped, auxiliary_channels=256),
        Data(dataset="ade20k"), ORIGIN._replace(title=ORIGIN.title.format("convnext")),
        score(whole, many, parameters, gmacs, "mmseg-slide-2048x512"),
        weights=(f"convnext_{size}.fb_in1k", "Apache-2.0", f"convnext-{size}_3rdparty_32xb128-noema_in1k, the same"),
        notes=CONVNEXT_NOTES, **convnext_procedure(layers),
    )  # fmt: skip


def score(whole: float, many: float, parameters: str, gmacs: float, protocol: str) -> Score:
    """Published values of a row."""
    counted = Original(outputs=150, parameters=parameters, gmacs=gmacs, size=(512, 512))
    return Score(whole, protocol, counted, printed={"note": f"{many} with several scales and flipping."})


def swin_procedure() -> Sections:
    """UPerNet over Swin in mmsegmentation: AdamW, 160,000 iterations, linear decay, last weights.

    Normalisation layers and position biases of the encoder have no weight decay; everything else has. As in the code of
    that time, the decay counts from the first step.
    """
    undecayed = (r"^encoder\..*norm|^feature_norms\.", r"\.relative_position_bias_table$")
    return shared_procedure() | {
        "optimizer": Optimizer(
            kind="adamw",
            lr=6e-5,
            weight_decay=0.01,
            decay_all=True,
            groups=tuple(Group(pattern=pattern, weight_decay=0.0) for pattern in undecayed),
        ),
    }


def convnext_procedure(layers: int) -> Sections:
    """UPerNet over ConvNeXt in mmsegmentation: as over Swin, but with a rate of its own for each stage.

    A stage learns 0.9 times as fast as the one after it, the last one 0.9 ^ (`layers` - 3) times as fast as the heads,
    and the stem and everything between two stages slowest.

    Args:
        layers: Number of layers that the original counts, 6 for ConvNeXt-T and 12 for the larger ones.
    """
    slowest = Group(pattern=r"^encoder\.network\.(stem_|stages_\d\.downsample\.)", lr=0.9 ** (layers + 1))
    stages = (Group(pattern=rf"^encoder\.network\.stages_{stage}\.", lr=0.9 ** (layers - stage)) for stage in range(4))
    return shared_procedure() | {
        "optimizer": Optimizer(kind="adamw", lr=1e-4, weight_decay=0.05, groups=(slowest, *stages)),
    }


def shared_procedure() -> Sections:
    """What Swin and ConvNeXt share in mmsegmentation on ADE20K; cross entropies count ignored pixels in their means."""
    return {
        "batch": 16,
        "augment": mmseg_augment(*SQUARES["ade20k"]),
        "loss": Loss(auxiliary=0.4, normalize="all"),
        "schedule": Schedule(
            iterations=160_000, power=1.0, warmup_iterations=1500, warmup_ratio=1e-6, decay_from="start"
        ),
    }


RECIPES = register(*map(over_swin, SWIN), *map(over_convnext, CONVNEXT))
