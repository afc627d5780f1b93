"""PMT: a decoder of transformer blocks with queries, over several blocks of a plain vision transformer that is frozen.

Cavagnero, Norouzi, Dubbelman and de Geus, CVPR Workshops 2026, arXiv:2603.25398. Implemented from the graph of the
authors' code (MIT), which decides. All tokens of the encoder (class token, registers, patches) after four of its
blocks, after its last normalisation, are normalised per channel over batch and tokens; a perceptron of half the width
is added to them, channels are scaled, and the four are summed. Learnt queries are put before them, and all pass through
blocks of the decoder's own, which turn queries and keys of the patches by DINOv3's rotary embedding and whose keys have
no bias. What the queries predict before each block and after the last one, from tokens after a normalisation of the
decoder's own, and how they see in training, is in `queried`.

Initial weights: PyTorch's defaults, queries from a normal distribution, ones for all scales.

Deviations: the decoder turns its patches alike over every encoder; the original takes the table of DINOv3 from the
encoder, where it has one, and otherwise computes the same one but stretches it at random in training. Encoders without
a class token can be used too. If nothing is said, the perceptrons of the decoder's blocks are as wide as its tokens, as
in all published configurations; in the authors' code, four times as wide. Blocks of the encoder after the last one that
is read are left out. Scores are computed at stride 4 and enlarged from there, while the original enlarges the logits of
the masks. Predictions never mask the attention, not even in the middle of a training. Images whose sides are no
multiples of the patches are padded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.tokens import TappedTokens, unusable_for_queries
from pixelwise.layers.attention.rotary import Rotation, rotation_of_patches, turned
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode
from pixelwise.models.queried import STRIDE, QueriedTransformer
from pixelwise.recipes.families.pmt import PMTSpec


class Lateral(nn.Module):
    """Tokens of one block of the encoder, brought to what the decoder sums up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.mlp = nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, width))
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, D, N) to (B, N, D)."""
        tokens = self.norm(tokens).transpose(1, 2)
        return (tokens + self.mlp(tokens)) * self.scale


class Block(nn.Module):
    """Attention and perceptron, each after a normalisation and with a learnt scale.

    Args:
        width: Channels of a token.
        heads: Number of heads of the attention.
        hidden: Channels within the perceptron.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.scale1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.scale2 = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor, rotation: Rotation, seen: Tensor | None = None) -> Tensor:
        """The tokens after the block.

        Args:
            tokens: (B, N, D), those of the patches last.
            rotation: How the patches are turned.
            seen: Which tokens (columns) a token (row) sees, bool (B, 1, N, N); None: all.
        """
        tokens = tokens + self._attended(self.norm1(tokens), rotation, seen) * self.scale1
        return tokens + self.mlp(self.norm2(tokens)) * self.scale2

    def _attended(self, tokens: Tensor, rotation: Rotation, seen: Tensor | None) -> Tensor:
        queries, keys, values = (
            part(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        queries, keys = turned(queries, rotation), turned(keys, rotation)
        joined = F.scaled_dot_product_attention(queries, keys, values, attn_mask=seen).transpose(1, 2)
        if torch.compiler.is_exporting():
            # The exporters' attention lays out its result differently from the one that is traced.
            joined = joined.clone(memory_format=torch.contiguous_format)
        return self.proj(joined.flatten(2))


class PMT(QueriedTransformer):
    """A plain transformer, and a decoder of blocks with queries; scores at stride 4.

    Raises:
        RecipeError: R203, the encoder does not have the blocks that are read; R207, it is unknown, not a plain
            transformer, or the channels of its heads are no multiple of 4.
    """

    def __init__(self, spec: PMTSpec, classes: Sequence[str], encoder: TappedTokens | None = None) -> None:
        if encoder is None:
            encoder = TappedTokens(spec.encoder, spec.taps, spec.patch_size, spec.side, spec.preprocessing.in_channels)
        width, heads = encoder.width, encoder.heads
        if width % (4 * heads):
            raise unusable_for_queries(
                spec.encoder, f"its heads have {width / heads:g} channels, of which a rotary embedding needs fours"
            )
        super().__init__(spec, classes, encoder)
        self.levels = len(encoder.taps)
        self.laterals = nn.ModuleList(Lateral(width) for _ in encoder.taps)
        self.blocks = nn.ModuleList(Block(width, heads, spec.hidden or width) for _ in range(spec.blocks))
        self.norm = nn.LayerNorm(width)
        self.rotated = width // heads

    def training_outputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Masks and classes of the queries, see `QueriedTransformer`."""
        features = encode(self.encoder, images)
        grid = features[0].shape[-2], features[0].shape[-1]
        tokens = self._summed(features)
        rotation = rotation_of_patches(*grid, self.rotated, tokens)
        queries = self.queries.weight.to(tokens.dtype)[None].expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([queries, tokens], dim=1)
        outputs: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            seen = None
            if self.training:
                masks, classes = self.predicted(self.norm(tokens), grid)
                outputs += [crop_to_image(masks, images, STRIDE), classes]
                seen = self.seen(masks, grid, tokens.shape[1], number)
            tokens = block(tokens, rotation, seen)
        masks, classes = self.predicted(self.norm(tokens), grid)
        return (*outputs, crop_to_image(masks, images, STRIDE), classes)

    def _summed(self, features: list[Tensor]) -> Tensor:
        """What `TappedTokens` returns, to the decoder's tokens (B, N, D) before the queries join them."""
        patches, before = features[: self.levels], features[self.levels :]
        read = [one.flatten(2) for one in patches]
        if before:
            read = [torch.cat([first.flatten(2), one], dim=2) for first, one in zip(before, read, strict=True)]
        return torch.stack([lateral(one) for lateral, one in zip(self.laterals, read, strict=True)]).sum(0)


@builds(PMTSpec)
def build(spec: PMTSpec, classes: tuple[str, ...]) -> PMT:
    """PMT with the encoder's default initial weights."""
    return PMT(spec, classes)
