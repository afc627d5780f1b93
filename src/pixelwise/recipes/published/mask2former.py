"""The published Mask2Former rows for semantic segmentation (facebookresearch/Mask2Former, MIT)."""

from __future__ import annotations

from typing import NamedTuple

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.mask2former import Mask2FormerSpec
from pixelwise.recipes.published.procedures import Sections
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Augment, Data, Group, Loss, Matching, Optimizer, Original, Recipe, Schedule
from pixelwise.recipes.sizes import Size

ORIGIN = Origin("modern", "Mask2Former, MODEL_ZOO.md", "facebookresearch/Mask2Former@9b0651c", "MIT", "CC-BY-NC-4.0")
NOTES = (
    "Scores are computed at stride 4 and enlarged; the original enlarges the logits of the masks. Float32; the "
    "original trains in mixed precision, except for the pixel decoder."
)
ADE20K_NOTES = (
    " Crops of smaller images are filled up with the mean colour, in the original with (128, 128, 128). The longer "
    "side of an image is bounded before it is zoomed, in the original afterwards. Images that are evaluated are padded "
    "to multiples of 32 by repeating their border, in the original with the mean colour."
)
FROZEN_NOTE = (
    " As in the original, the encoder's batch normalisations keep what they have learnt from ImageNet: statistics, "
    "scales and shifts."
)
MIT, BSD = "MIT", "BSD-3-Clause"
ENCODERS = {
    "r50": ("resnet50", "resnet50.tv_in1k", BSD),
    "r101": ("resnet101", "resnet101.tv_in1k", BSD),
    "swin-t": ("swin_tiny", "swin_tiny_patch4_window7_224.ms_in1k", MIT),
    "swin-s": ("swin_small", "swin_small_patch4_window7_224.ms_in1k", MIT),
    "swin-b": ("swin_base_window12", "swin_base_patch4_window12_384.ms_in1k", MIT),
    "swin-b-22k": ("swin_base_window12", "swin_base_patch4_window12_384.ms_in22k", MIT),
    "swin-l-22k": ("swin_large_window12", "swin_large_patch4_window12_384.ms_in22k", MIT),
}
"""Name of an encoder in the recipes -> its own name, its weights and their licence."""
ENCODER_NORMS = r"^encoder\..*(norm\d?|bn\d|downsample\.1|relative_position_bias_table)(\.|$)|^feature_norms\."
HEAD_NORMS = (
    r"^(queries|query_embedding|levels|norm)\.|norm\.(weight|bias)$"
    r"|^pixel_decoder\.(projections\.\d|lateral|smoothing)\.1\."
)


class Row(NamedTuple):
    """A published row.

    Attributes:
        encoder: A key of `ENCODERS`.
        dataset: Data set.
        miou: Published mIoU in percent on its val split.
        many: The same with several scales and flipping.
        parameters: Parameters of the original implementation.
        gmacs: Its multiply-accumulates for an image of `size`, in units of 10^9.
        side: Shorter side of the images, and on ADE20K of the crops.
    """

    encoder: str
    dataset: str
    miou: float
    many: float
    parameters: str
    gmacs: float
    side: int = 512

    @property
    def size(self) -> Size:
        """Size of the image that is counted."""
        return (self.side, self.side) if self.dataset == "ade20k" else (1024, 2048)

    @property
    def frozen(self) -> bool:
        """Whether the batch normalisations of the encoder learn nothing."""
        return (self.encoder, self.dataset) == ("r50", "ade20k")


ROWS = (
    Row("r50", "ade20k", 47.2, 49.2, "44041367", 66.580),
    Row("r101", "ade20k", 47.8, 50.1, "63033495", 85.975),
    Row("swin-t", "ade20k", 47.7, 49.6, "47439633", 69.471),
    Row("swin-s", "ade20k", 51.3, 52.4, "68757537", 93.190),
    Row("swin-b", "ade20k", 52.4, 53.7, "106922191", 216.704, 640),
    Row("swin-b-22k", "ade20k", 53.9, 55.1, "106922191", 216.704, 640),
    Row("swin-l-22k", "ade20k", 56.1, 57.3, "215488779", 395.813, 640),
    Row("r50", "cityscapes", 79.4, 82.2, "44007700", 519.837),
    Row("r101", "cityscapes", 80.1, 81.9, "62999828", 674.993),
    Row("swin-t", "cityscapes", 82.1, 83.0, "47405966", 533.611),
    Row("swin-s", "cityscapes", 82.6, 83.6, "68723870", 719.675),
    Row("swin-b-22k", "cityscapes", 83.3, 84.5, "106888524", 1046.153),
    Row("swin-l-22k", "cityscapes", 83.3, 84.3, "215455112", 1899.616),
)


def recipe_of(one: Row) -> Recipe:
    """The recipe of a row."""
    encoder, weights, licence = ENCODERS[one.encoder]
    over_swin = encoder.startswith("swin")
    on_ade20k = one.dataset == "ade20k"
    protocol = f"detectron2-{4 * one.side}x{one.side}" if on_ade20k else "cityscapes-2048x1024"
    counted = Original(outputs=150 if on_ade20k else 19, parameters=one.parameters, gmacs=one.gmacs, size=one.size)
    printed = {"note": f"{one.many} with several scales and flipping."}
    return row(
        f"mask2former-{one.encoder}-{one.dataset}", f"Mask2Former over {TITLES[one.encoder]} on {one.dataset}",
        Mask2FormerSpec(
            encoder=encoder, normalize_features=over_swin, drop_path=0.3 if over_swin else 0.0,
            frozen_statistics=one.frozen,
        ),
        Data(dataset=one.dataset), ORIGIN, Score(one.miou, protocol, counted, printed=printed),
        weights=(weights, licence, "the same"),
        notes=NOTES + (ADE20K_NOTES if on_ade20k else "") + (FROZEN_NOTE if one.frozen else ""),
        **procedure(one),
    )  # fmt: skip


TITLES = {
    "r50": "ResNet-50", "r101": "ResNet-101", "swin-t": "Swin-T", "swin-s": "Swin-S", "swin-b": "Swin-B",
    "swin-b-22k": "Swin-B (ImageNet-22k)", "swin-l-22k": "Swin-L (ImageNet-22k)",
}  # fmt: skip
"""How encoders are called in summaries."""


def procedure(one: Row) -> Sections:
    """Mask2Former: AdamW, poly 0.9 without warm-up, a tenth of the rate in the encoder, gradients of norm 0.01.

    Normalisation layers, embeddings and the position biases of Swin have no weight decay; everything else has. Images
    are zoomed to one of 16 sizes.
    """
    on_ade20k, side = one.dataset == "ade20k", one.side
    groups = (
        Group(pattern=ENCODER_NORMS, lr=0.0 if one.frozen else 0.1, weight_decay=0.0),
        Group(pattern=r"^encoder\.", lr=0.1),
        Group(pattern=HEAD_NORMS, weight_decay=0.0),
    )
    return {
        "batch": 16,
        "augment": Augment(
            fit=(side, 4 * side) if on_ade20k else None,
            scale=(0.5, 2.0),
            scale_law="steps",
            scale_step=0.1,
            crop=(side, side) if on_ade20k else (512, 1024),
            flip=0.5,
            pad="end",
            fill="mean",
            resampling="antialiased",
            photometric="mmseg",
        ),
        "loss": Loss(matching=Matching()),
        "optimizer": Optimizer(kind="adamw", lr=1e-4, weight_decay=0.05, decay_all=True, clip_norm=0.01, groups=groups),
        "schedule": Schedule(iterations=160_000 if on_ade20k else 90_000, power=0.9),
    }


RECIPES = register(*map(recipe_of, ROWS))
