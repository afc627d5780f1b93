"""The published EoMT rows: the authors' (tue-mps/eomt, MIT) and those of lightly-train."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.eomt import EoMTSpec
from pixelwise.recipes.published.procedures import Sections
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Augment, Data, Group, Loss, Matching, Optimizer, Original, Recipe, Schedule

AUTHORS = Origin("modern", "EoMT, README.md", "tue-mps/eomt@7bd19dd", "MIT")
LIGHTLY = Origin("modern", "lightly-train, table of EoMT models", "lightly-ai/lightly-train", "AGPL-3.0")
NOTES = (
    "Scores are computed at stride 4 and enlarged; the original enlarges the logits of the masks. Float32; the "
    "original trains in mixed precision. A crop without any label is kept; the original draws another one. "
    "Where images are scored during the training, their attention is not masked."
)
DEAD = (
    " The configuration of the original has lr_mult=0.1 for the encoder, which its code never applies (the condition "
    "is that of the branch before it): the encoder is trained at the full rate, as here."
)
BY_LIGHTLY = " How lightly trained it is not known: procedure and protocol are those of the authors' large network."
LICENCES = {"dinov2": "Apache-2.0", "dinov3": "DINOv3 License"}
TAGS = {
    "dinov2": "vit_{}_patch14_reg4_dinov2.lvd142m",
    "dinov3": "vit_{}_patch16_dinov3_qkvb.lvd1689m",
}


class Row(NamedTuple):
    """A published row.

    Attributes:
        size: Size of the encoder, as timm names it.
        kind: Weights of the encoder.
        dataset: Data set.
        miou: Published mIoU in percent on its val split.
        parameters: Parameters of the original implementation.
        gmacs: Its multiply-accumulates for a square of `side`, in units of 10^9.
        side: Side of crops and windows.
        outputs: Number of classes.
        origin: Origin of the score.
    """

    size: Literal["small", "base", "large"]
    kind: Literal["dinov2", "dinov3"]
    dataset: str
    miou: float
    parameters: str
    gmacs: float
    side: int = 512
    outputs: int = 150
    origin: Origin = AUTHORS

    @property
    def blocks(self) -> int:
        """Number of blocks with queries."""
        return 4 if self.size == "large" else 3


ROWS = (
    Row("large", "dinov2", "ade20k", 58.4, "316020887", 394.315),
    Row("large", "dinov3", "ade20k", 59.5, "314947735", 394.315),
    Row("large", "dinov2", "cityscapes", 84.2, "319032340", 2173.97, 1024, 19),
    Row("small", "dinov3", "ade20k", 46.6, "23325079", 36.953, origin=LIGHTLY),
    Row("base", "dinov3", "ade20k", 54.4, "92361367", 124.550, origin=LIGHTLY),
)


def recipe_of(one: Row) -> Recipe:
    """The recipe of a row."""
    tag = TAGS[one.kind].format(one.size)
    name = f"EoMT over {one.kind.replace('dino', 'DINO')}-{one.size[0].upper()}"
    counted = Original(outputs=one.outputs, parameters=one.parameters, gmacs=one.gmacs, size=(one.side, one.side))
    return row(
        f"eomt-{one.size[0]}-{one.kind}-{one.dataset}", f"{name} on {one.dataset}",
        EoMTSpec(
            encoder=tag.partition(".")[0], blocks=one.blocks, side=one.side,
            masked=masked(one.kind, one.dataset)[-one.blocks:],
        ),
        Data(dataset=one.dataset), one.origin, Score(one.miou, f"short-side-{one.side}", counted),
        weights=(tag, LICENCES[one.kind], "the same"),
        notes=NOTES + (DEAD if one.kind == "dinov3" else "") + (BY_LIGHTLY if one.origin is LIGHTLY else ""),
        **procedure(one),
    )  # fmt: skip


def masked(kind: str, dataset: str) -> tuple[tuple[int, int], ...]:
    """First and last step of the windows in which the last four blocks lose their masks."""
    if kind == "dinov3":
        return (0, 3000), (6520, 9780), (9780, 13_040), (13_040, 16_300)
    sixth = 6520 if dataset == "ade20k" else 3317
    return tuple((part * sixth, (part + 1) * sixth) for part in range(1, 5))


def procedure(one: Row) -> Sections:
    """EoMT: AdamW with weight decay of everything, poly 0.9 after a warm-up of the heads and then of the encoder.

    Over DINOv2, each block learns 0.8 times as fast as the one after it, the last one as fast as the heads, and the
    patches as fast as the first one; over DINOv3, everything learns alike. Gradients are clipped to a norm of 0.01, the
    default of the authors' `main.py`.
    """
    first, second = (500, 1000) if one.kind == "dinov2" else (2000, 3000)

    def group(pattern: str, rate: float = 1.0) -> Group:
        return Group(pattern=pattern, lr=rate, warmup_after=first, warmup_iterations=second)

    groups = [group(r"^encoder\.")]
    if one.kind == "dinov2":
        last = (24 if one.size == "large" else 12) - 1
        before = group(r"^encoder\.network\.(cls_token|reg_token|pos_embed|patch_embed\.)", 0.8**last)
        blocks = (group(rf"^encoder\.network\.blocks\.{block}\.", 0.8 ** (last - block)) for block in range(last + 1))
        groups = [before, *blocks, *groups]
    epochs = 16 if one.kind == "dinov3" else 31 if one.dataset == "ade20k" else 107
    return {
        "batch": 16,
        "augment": augmentation(one.side),
        "loss": Loss(matching=Matching()),
        "optimizer": Optimizer(
            kind="adamw",
            lr=2e-4 if one.kind == "dinov3" else 1e-4,
            weight_decay=0.05,
            decay_all=True,
            clip_norm=0.01,
            groups=tuple(groups),
        ),
        "schedule": Schedule(epochs=epochs, power=0.9, warmup_iterations=first),
    }


def augmentation(side: int) -> Augment:
    """The authors' augmentation: resized to fit a square, scaled, a crop of that square, flipped, recoloured."""
    return Augment(
        fit=(side, side),
        scale=(0.5, 2.0),
        scale_law="uniform",
        crop=(side, side),
        flip=0.5,
        pad="end",
        resampling="antialiased",
        photometric="mmseg",
    )


RECIPES = register(*map(recipe_of, ROWS))
