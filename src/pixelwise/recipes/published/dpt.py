"""The published DPT row over a plain transformer (open-mmlab/mmsegmentation, Apache-2.0)."""

from __future__ import annotations

from pixelwise.recipes.catalog import register
from pixelwise.recipes.families.dpt import DPTSpec
from pixelwise.recipes.published.procedures import Sections
from pixelwise.recipes.published.rows import Origin, Score, row
from pixelwise.recipes.published.upernet import shared_procedure
from pixelwise.recipes.schema.recipe import Data, Group, Loss, Optimizer, Original

ORIGIN = Origin("modern", "mmsegmentation, configs/dpt", "open-mmlab/mmsegmentation@v1.2.2", "Apache-2.0")
NOTES = (
    "The normalisations of the encoder add 1e-6 to variances, as those that its weights were trained with; the "
    "original adds 1e-5. Images whose sides are no multiples of 16, which only occur in evaluation, are padded by "
    "their last row and column, and the logits of the padding are cut off; the original pads with zeros and shrinks "
    "the logits of the padded image to the image's size. Where the grid of patches has an odd side, what was fused is "
    "brought to the size of the next map; the original resizes the map. The configuration of the original exempts "
    "parameters named norm from weight decay, of which its network has none: normalisations decay, as here. The patch "
    "embedding has a bias, as the weights that training starts from have; the code of today's mmsegmentation builds it "
    "without one (768 parameters less)."
)


def procedure() -> Sections:
    """DPT in mmsegmentation: AdamW, 160,000 iterations, linear decay, last weights; without an auxiliary head.

    The class token and the position embeddings have no weight decay; everything else has. As in the code of that time,
    the decay of the rate counts from the first step.
    """
    return shared_procedure() | {
        "loss": Loss(normalize="all"),
        "optimizer": Optimizer(
            kind="adamw",
            lr=6e-5,
            weight_decay=0.01,
            decay_all=True,
            groups=(Group(pattern=r"^encoder\.network\.(pos_embed|cls_token)$", weight_decay=0.0),),
        ),
    }


RECIPES = register(
    row(
        "dpt-vit-b-ade20k", "DPT over ViT-B on ade20k",
        DPTSpec(encoder="vit_base_patch16_224", normalize_features=False, readout="project", channels=256),
        Data(dataset="ade20k"), ORIGIN,
        Score(
            46.97, "ssseg-2048x512", Original(outputs=150, parameters="109705046", gmacs=219.359, size=(512, 512)),
            printed={"note": "48.34 with several scales and flipping."},
        ),
        weights=(
            "vit_base_patch16_224.orig_in21k_ft_in1k", "Apache-2.0", "jx_vit_base_p16_224-80ecf9dd.pth, the same",
        ),
        notes=NOTES, **procedure(),
    )
)  # fmt: skip
