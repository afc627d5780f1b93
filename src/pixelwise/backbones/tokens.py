"""Plain vision transformers whose tokens are open to more tokens: the encoders of networks without a decoder.

timm's networks run block by block here, so that a network can put queries before the tokens and mask the attention of
single blocks. The side of the patches and the grid of position embeddings can differ from those that the weights were
published for: pretrained patch and position embeddings are then resampled, as timm does when it builds a network of
another size (Beyer et al., CVPR 2023, arXiv:2212.08013, for the patches).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.taps import chosen_taps
from pixelwise.backbones.timm import REFUSALS, has_one_stride, is_model
from pixelwise.backbones.vit import ViTEncoder
from pixelwise.errors import RecipeError

TOLERANCE = 1e-4
"""Largest difference, relative to the largest value, between the blocks run one by one and the whole network."""


class TokenEncoder(ViTEncoder):
    """A plain timm transformer with random weights, of which every block can be run by itself.

    Args:
        name: timm's name of the model.
        patch: Side of the patches, a power of two.
        side: Side of the images whose grid the position embeddings have, if the network learns them; those of other
            images are interpolated.
        in_channels: Number of bands of the input images.
        **options: Further arguments of the network's constructor, such as `depth`.

    Attributes:
        width: Channels of a token.
        blocks: Number of blocks.
        prefix: Number of tokens before those of the patches: class token and registers.

    Raises:
        RecipeError: R207, the model is not a plain transformer, cannot be built with such patches, or needs more than
            its tokens, a rotary embedding and a mask in its blocks.
    """

    def __init__(self, name: str, patch: int = 16, side: int = 512, in_channels: int = 3, **options: Any) -> None:
        if not (is_model(name) and has_one_stride(name)):
            build_encoder(name, in_channels=in_channels)  # a name that no library knows says so itself
            raise unusable_for_queries(name, "it is not a plain vision transformer")
        super().__init__(name, maps=1, in_channels=in_channels, patch_size=patch, img_size=side, **options)
        self.width: int = self.channels[-1]
        self.side = side
        try:
            self.blocks = len(self.network.blocks)
            self.prefix = int(self.network.num_prefix_tokens)
            difference = self._difference()
        except (*REFUSALS, IndexError) as error:
            raise unusable_for_queries(name, f"its blocks cannot be run one by one ({error})") from error
        if not difference <= TOLERANCE:
            raise unusable_for_queries(name, "its blocks need more than the tokens before them")

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The tokens before the first block.

        Args:
            images: (B, in_channels, H, W), sizes multiples of `multiple`.

        Returns:
            Tokens (B, N, D), those of the patches, in rows, after `prefix` others; and the rotary embedding of the
            patches, if the network has one.
        """
        embedded = self.network._pos_embed(self.network.patch_embed(images))
        tokens, rotary = embedded if isinstance(embedded, tuple) else (embedded, None)
        return self.network.norm_pre(tokens), rotary

    def run(self, block: int, tokens: Tensor, rotary: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """The tokens after a block.

        Args:
            block: Number of the block, from 0.
            tokens: (B, N, D).
            rotary: Rotary embedding of all tokens but the first `prefix`, see `with_queries`.
            mask: bool, broadcast to (B, heads, N, N): which tokens (columns) a token (row) sees; None: all.
        """
        further = {} if rotary is None else {"rope": rotary}
        return self.network.blocks[block](tokens, attn_mask=mask, **further)

    def normalised(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, D) after the network's last normalisation."""
        return self.network.norm(tokens)

    def with_queries(self, tokens: Tensor, rotary: Tensor | None, queries: Tensor) -> tuple[Tensor, Tensor | None]:
        """Put queries (Q, D) before the tokens; the rotary embedding leaves them as they are."""
        tokens = torch.cat([queries.to(tokens.dtype)[None].expand(tokens.shape[0], -1, -1), tokens], dim=1)
        if rotary is not None:
            # Sines, then cosines. The attention skips as many tokens as before, which are queries now; it turns
            # the other queries and the tokens before the patches by nothing.
            sines, cosines = rotary[:1].chunk(2, dim=-1)
            still = torch.cat([torch.zeros_like(sines), torch.ones_like(cosines)], dim=-1)
            rotary = torch.cat([still.expand(len(queries), -1), rotary])
        return tokens, rotary

    def adapted(self, key: str, theirs: Tensor) -> Tensor:
        """A pretrained tensor in the shape of the encoder's own; patch and position embeddings are resampled."""
        from timm.layers.patch_embed import resample_patch_embed
        from timm.layers.pos_embed import resample_abs_pos_embed

        own = self.state_dict()[key]
        if theirs.shape == own.shape:
            return theirs
        if key == "network.patch_embed.proj.weight" and theirs.shape[:2] == own.shape[:2]:
            return resample_patch_embed(theirs, list(own.shape[2:]))
        if key == "network.pos_embed" and theirs.ndim == 3 and theirs.shape[2] == own.shape[2]:
            grid = cast("tuple[int, int]", tuple(self.network.patch_embed.grid_size))
            beside = own.shape[1] - grid[0] * grid[1]
            sides = round((theirs.shape[1] - beside) ** 0.5)
            if sides**2 + beside == theirs.shape[1]:
                return resample_abs_pos_embed(theirs, list(grid), num_prefix_tokens=beside)
        return theirs

    @torch.no_grad()
    def _difference(self) -> float:
        """Relative difference between the patches' tokens after all blocks, run here and by the network."""
        training = self.training
        self.eval()
        images: Any = torch.linspace(-1, 1, 6 * self.multiple**2).reshape(1, 1, 2 * self.multiple, 3 * self.multiple)
        images = images.expand(1, self.in_channels, -1, -1)
        expected = self._last_map(images)
        tokens, rotary = self.embed(images)
        for block in range(self.blocks):
            tokens = self.run(block, tokens, rotary)
        found = self.normalised(tokens)[:, self.prefix :].transpose(1, 2).reshape(expected.shape)
        self.train(training)
        if found.is_meta:
            return 0.0
        return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


class TappedTokens(TokenEncoder):
    """A plain timm transformer that is read after some of its blocks, the tokens before the patches included.

    Blocks after the last one that is read are left out.

    Args:
        name: timm's name of the model.
        taps: The blocks, from 0, in increasing order; None: the last one of each quarter.
        patch: Side of the patches, a power of two.
        side: Side of the images whose grid the position embeddings have.
        in_channels: Number of bands of the input images.
        **options: Further arguments of the network's constructor, such as `depth`.

    Attributes:
        taps: The blocks that are read.
        heads: Number of heads of the attention of a block.

    Raises:
        RecipeError: R203, the network does not have such blocks; R207, as `TokenEncoder`, or it has fewer than 4.
    """

    def __init__(
        self,
        name: str,
        taps: tuple[int, ...] | None = None,
        patch: int = 16,
        side: int = 512,
        in_channels: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(name, patch, side, in_channels, **options)
        self.taps = chosen_taps(name, self.blocks, taps)
        self.network.blocks = self.network.blocks[: self.taps[-1] + 1]
        self.blocks = len(self.network.blocks)
        try:
            self.heads = int(self.network.blocks[0].attn.num_heads)
        except AttributeError as error:
            raise unusable_for_queries(name, f"its heads cannot be counted ({error})") from error
        self.strides = (self.multiple,) * len(self.taps)
        self.channels = (self.width,) * len(self.taps)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The normalised tokens after each of the blocks that are read.

        Args:
            images: (B, in_channels, H, W), sizes multiples of `multiple`.

        Returns:
            Those of the patches, one (B, D, H / s, W / s) per block, s = `multiple`; then, if there are any, those
            before the patches, one (B, D, 1, `prefix`) per block, for which `strides` and `channels` have no entry.
        """
        grid = images.shape[-2] // self.multiple, images.shape[-1] // self.multiple
        tokens, rotary = self.embed(images)
        read: list[Tensor] = []
        for block in range(self.blocks):
            tokens = self.run(block, tokens, rotary)
            if block in self.taps:
                read.append(self.normalised(tokens).transpose(1, 2))
        maps = [one[:, :, self.prefix :].unflatten(2, grid) for one in read]
        return maps + [one[:, :, None, : self.prefix] for one in read if self.prefix]


def unusable_for_queries(name: str, reason: str) -> RecipeError:
    """The error for an encoder whose tokens cannot be joined by queries."""
    return RecipeError(
        "R207",
        f"queries cannot join the tokens of '{name}': {reason}",
        "choose a plain vision transformer such as vit_small_patch16_dinov3_qkvb or vit_small_patch14_reg4_dinov2",
    )
