"""The published PMT row for semantic segmentation (tue-mps/pmt, MIT)."""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.pmt import PMTSpec
from pixelwise.recipes.published.eomt import LICENCES, TAGS, augmentation
from pixelwise.recipes.published.procedures import Sections
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.schema.recipe import Data, Loss, Matching, Optimizer, Original, Schedule

ORIGIN = Origin("modern", "PMT, model_zoo/image/dinov3.md", "tue-mps/pmt@54d73c9", "MIT")
SIDE = 512
MASKED = ((0, 3000), (5384, 8749), (7403, 10_769), (9422, 12_788), (11_442, 14_807), (13_461, 16_826))
"""First and last step of the windows in which the blocks lose their masks."""
NOTES = (
    "The encoder is kept as it is: the authors publish weights of the decoder alone. hidden_dim of the configuration "
    "is the width of the perceptrons in the decoder's blocks; its tokens are as wide as the encoder's. Class token "
    "and registers pass through the decoder too. Scores are computed at stride 4 and enlarged; the original enlarges "
    "the logits of the masks. Float32; the original trains in mixed precision. A crop without any label is kept; the "
    "original draws another one. Where images are scored during the training, their attention is not masked."
)


def procedure() -> Sections:
    """PMT: a frozen encoder; AdamW with weight decay of everything, cosine to 1e-9 after a warm-up of 6,000 steps.

    What the configuration leaves out has the defaults of the authors' code: weight decay 0.05, the weights of the loss,
    gradients clipped to a norm of 0.01.
    """
    return {
        "batch": 16,
        "augment": augmentation(SIDE),
        "loss": Loss(matching=Matching()),
        "optimizer": Optimizer(kind="adamw", lr=2e-4, weight_decay=0.05, decay_all=True, clip_norm=0.01),
        "schedule": Schedule(epochs=16, kind="cosine", min_lr=1e-9, warmup_iterations=6000),
        "initialize": {"freeze": True},
    }


RECIPES = register(
    row(
        "pmt-l-dinov3-ade20k", "PMT over DINOv3-L on ade20k",
        PMTSpec(
            encoder=TAGS["dinov3"].format("large").partition(".")[0], taps=(5, 11, 17, 23), hidden=1024, side=SIDE,
            masked=MASKED,
        ),
        Data(dataset="ade20k"), ORIGIN,
        Score(
            58.5, f"short-side-{SIDE}",
            Original(outputs=150, parameters="356978839", gmacs=450.111, size=(SIDE, SIDE)),
        ),
        weights=(TAGS["dinov3"].format("large"), LICENCES["dinov3"], "the same"),
        notes=NOTES, **procedure(),
    )
)  # fmt: skip
