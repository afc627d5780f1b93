"""EoMT, a plain vision transformer that classifies masks, without a decoder."""

from __future__ import annotations

from typing import ClassVar, Literal

from pixelwise.recipes.schema.base import require
from pixelwise.recipes.schema.model import Described, Spec, check_mask_classification, register_spec


@register_spec
class EoMTSpec(Spec, frozen=True, kw_only=True, tag="eomt"):
    """EoMT (Kerssies et al. 2025, arXiv:2503.19108): queries join a transformer's tokens in its last blocks.

    Attributes:
        encoder: Name of the encoder: a plain transformer of timm, such as `vit_small_patch14_reg4_dinov2`,
            `vit_small_patch16_dinov3_qkvb` or one of their larger sisters.
        queries: Number of masks that the network predicts, each with its class.
        blocks: Number of blocks that the queries pass through: 3 for small and base transformers, 4 for large ones, 5
            for giant ones.
        patch_size: Side of the patches in pixels; pretrained embeddings of other patches are resampled.
        side: Side of the images whose grid learnt position embeddings have; pretrained ones are resampled.
        masked: In which optimizer steps queries see only the patches of their own masks: one [first, last] per block;
            up to `first` all of them do, from there on fewer and fewer, from `last` on none. Values below 1 are shares
            of all steps. None spreads the blocks evenly over the training. Predictions are always made without masks.
    """

    mask_classification: ClassVar[bool] = True

    encoder: str = "vit_small_patch14_reg4_dinov2"
    queries: int = 100
    blocks: int = 3
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
        check_mask_classification(recipe, "EoMT", self.queries)
        check_transformer(self.blocks, self.side, self.patch_size)
        check_windows(self.windows(), self.blocks)


def even_windows(blocks: int) -> tuple[tuple[float, float], ...]:
    """Windows as shares of the training: of n blocks, number i (from 1) has one from i to i + 1 parts of n + 2."""
    parts = blocks + 2
    return tuple((block / parts, (block + 1) / parts) for block in range(1, blocks + 1))


def check_transformer(blocks: int, side: int, patch_size: int) -> None:
    """Refuse numbers that no transformer with queries can have.

    Args:
        blocks: Number of blocks with queries.
        side: Side of the images whose grid position embeddings have.
        patch_size: Side of the patches.

    Raises:
        RecipeError: R203, with the field and a way out.
    """
    require(blocks >= 1, f"model.blocks is {blocks}; expected 1 or more", "for example 3")
    require(
        side >= patch_size and side % patch_size == 0,
        f"model.side is {side}; expected a multiple of model.patch_size, {patch_size}",
        "for example 512",
    )


def check_windows(windows: tuple[tuple[float, float], ...], blocks: int) -> None:
    """Refuse windows that do not fit the blocks with queries.

    Raises:
        RecipeError: R203, with the field and a way out.
    """
    example = ", ".join(f"[{first:.2g}, {last:.2g}]" for first, last in even_windows(blocks))
    require(
        len(windows) == blocks and all(0 <= first <= last for first, last in windows),
        f"model.masked is {[list(window) for window in windows]}; expected {blocks} pairs (model.blocks) of a first "
        "and a last step, 0 or more and not decreasing",
        f"leave it out, or give shares of the training such as [{example}]",
    )
