"""PMT, a decoder of transformer blocks that classifies masks, over a plain vision transformer that stays as it is."""

from __future__ import annotations

from typing import ClassVar, Literal

from pixelwise.recipes.families.eomt import check_transformer, check_windows, even_windows
from pixelwise.recipes.schema.base import require
from pixelwise.recipes.schema.model import Described, Spec, check_mask_classification, register_spec


@register_spec
class PMTSpec(Spec, frozen=True, kw_only=True, tag="pmt"):
    """PMT (Cavagnero et al. 2026, arXiv:2603.25398): queries and a frozen transformer's tokens pass through own blocks.

    Attributes:
        encoder: Name of the encoder: a plain transformer of timm, such as `vit_small_patch14_reg4_dinov2`,
            `vit_small_patch16_dinov3_qkvb` or one of their larger sisters. It is made to be kept as it is, see
            `initialize.freeze`.
        queries: Number of masks that the network predicts, each with its class.
        taps: The encoder's blocks that are read, from 0; None: the last one of each quarter, such as 2, 5, 8 and 11 of
            12.
        blocks: Number of the decoder's own blocks.
        hidden: Channels within the perceptrons of these blocks; None: as many as the encoder's width, which all
            published networks have.
        patch_size: Side of the patches in pixels; pretrained embeddings of other patches are resampled.
        side: Side of the images whose grid learnt position embeddings have; pretrained ones are resampled.
        masked: In which optimizer steps queries see only the patches of their own masks: one [first, last] per block;
            up to `first` all of them do, from there on fewer and fewer, from `last` on none. Values below 1 are shares
            of all steps. None spreads the blocks evenly over the training. Predictions are always made without masks.
    """

    mask_classification: ClassVar[bool] = True

    encoder: str = "vit_small_patch14_reg4_dinov2"
    queries: int = 100
    taps: tuple[int, ...] | None = None
    blocks: int = 6
    hidden: int | None = None
    patch_size: Literal[8, 16, 32] = 16
    side: int = 512
    masked: tuple[tuple[float, float], ...] | None = None

    def windows(self) -> tuple[tuple[float, float], ...]:
        """`masked`, or its default: of n blocks, number i (from 1) loses its masks from i to i + 1 parts of n + 2."""
        return self.masked or even_windows(self.blocks)

    def check(self, recipe: Described) -> None:
        """Refuse pixels of several classes, and numbers that no network can have.

        Raises:
            RecipeError: R203, with the field and a way out.
        """
        check_mask_classification(recipe, "PMT", self.queries)
        check_transformer(self.blocks, self.side, self.patch_size)
        require(
            self.hidden is None or self.hidden >= 1,
            f"model.hidden is {self.hidden}; expected 1 or more",
            "leave it out for the encoder's width",
        )
        check_windows(self.windows(), self.blocks)
