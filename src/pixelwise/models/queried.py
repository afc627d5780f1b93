"""What plain transformers with queries have in common: masks and classes from tokens, and masked attention.

Queries stand before the other tokens of a transformer's blocks. Before each of these blocks and after the last one, a
linear classifier (with one more output, "no object") and a three-layer perceptron turn every query into a class and an
embedding; masks are the products of these embeddings with the patches' tokens, enlarged to stride 4. While training, a
query sees in a block only the patches inside of its own mask before that block; the share of the queries that do falls
to 0 in the course of the training, block by block.

Predictions are semantic scores: the sum over all queries of the mask's probability times the class's. They are 0 or
more, and a class's probability is its part of the sum of all scores.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.tokens import TokenEncoder
from pixelwise.backbones.vit import ChannelNorm
from pixelwise.models.base import SegmentationModel
from pixelwise.models.probabilities import semantic_scores
from pixelwise.recipes.families.eomt import EoMTSpec
from pixelwise.recipes.families.pmt import PMTSpec

STRIDE = 4
"""Stride of the masks."""
POWER = 0.9
"""Exponent with which the share of queries with a masked attention falls."""


class Enlarging(nn.Sequential):
    """(B, C, h, w) to (B, C, 2h, 2w)."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2),
            nn.GELU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels, bias=False),
            ChannelNorm(channels, eps=1e-6),
        )


class QueriedTransformer(SegmentationModel):
    """An encoder, queries and what is predicted from them; scores at stride 4.

    Subclasses implement `training_outputs`.

    Attributes:
        shares: Probability, per block with queries, that a query's attention is masked, float32; None: it never is.
    """

    scores = "probabilities"
    mask_classification = True

    def __init__(self, spec: EoMTSpec | PMTSpec, classes: Sequence[str], encoder: TokenEncoder) -> None:
        super().__init__(spec, classes)
        self.encoder = encoder
        self.windows = spec.windows()
        width = encoder.width
        self.queries = nn.Embedding(spec.queries, width)
        self.classifier = nn.Linear(width, self.num_classes + 1)
        self.embedding = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )
        self.enlarging = nn.Sequential(*(Enlarging(width) for _ in range(int(math.log2(encoder.multiple // STRIDE)))))
        self.shares: Tensor | None = torch.ones(spec.blocks)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Semantic scores (B, K, ceil(H / 4), ceil(W / 4)), 0 or more; there are no auxiliary heads."""
        (masks, classes) = self.training_outputs(images)[-2:]
        return (semantic_scores(masks, classes),)

    @abstractmethod
    def training_outputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Masks and classes of the queries, which the loss compares with the labels.

        Args:
            images: (B, C, H, W) float, preprocessed.

        Returns:
            Logits of masks (B, Q, ceil(H / 4), ceil(W / 4)) and of classes (B, Q, K + 1), the last of which is "no
            object". In training mode they are those before each block with queries, in order, and those after the last
            one; in evaluation mode only the latter.
        """

    def at(self, step: int, steps: int) -> None:
        """Set the share of masked queries for an optimizer step.

        Args:
            step: Number of steps done before this one.
            steps: Number of steps of the whole training.
        """
        shares = [masked_share(step, steps, window) for window in self.windows]
        device = self.queries.weight.device
        self.shares = torch.tensor(shares).to(device, non_blocking=True) if any(shares) else None

    def predicted(self, tokens: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What the queries predict.

        Args:
            tokens: (B, N, D), normalised: the queries, the encoder's tokens before the patches, the patches in rows.
            grid: Rows h and columns w of patches.

        Returns:
            Logits of masks (B, Q, 4h, 4w), for patches of 16 pixels, and of classes (B, Q, K + 1).
        """
        queries = tokens[:, : self.queries.num_embeddings]
        patches = tokens[:, self.queries.num_embeddings + self.encoder.prefix :]
        features = self.enlarging(patches.transpose(1, 2).reshape(tokens.shape[0], -1, *grid))
        return torch.einsum("bqc,bchw->bqhw", self.embedding(queries), features), self.classifier(queries)

    def seen(self, masks: Tensor, grid: tuple[int, int], tokens: int, block: int) -> Tensor | None:
        """What each token sees in a block with queries: everything, but some queries no patch outside of their mask.

        Args:
            masks: Logits of masks (B, Q, h, w) before the block.
            grid: Rows and columns of patches.
            tokens: Number of tokens N, queries included.
            block: Number of the block among those with queries.

        Returns:
            bool (B, 1, N, N); None: every token sees everything.
        """
        if self.shares is None:
            return None
        inside = F.interpolate(masks.detach(), grid, mode="bilinear", align_corners=False).flatten(2) > 0
        free = torch.rand(masks.shape[:2], device=masks.device) >= self.shares[block].to(masks.device)
        number = self.queries.num_embeddings
        of_queries = F.pad(inside | free[..., None], (number + self.encoder.prefix, 0), value=True)
        return F.pad(of_queries, (0, 0, 0, tokens - number), value=True)[:, None]


def masked_share(step: int, steps: int, window: tuple[float, float]) -> float:
    """The share of queries whose attention is masked: 1 up to the first step of the window, 0 from its last one on.

    Args:
        step: Number of steps done before this one.
        steps: Number of steps of the whole training.
        window: First and last step; values below 1 are shares of all steps.
    """
    first, last = (value * steps if value < 1 else value for value in window)
    if step < first:
        return 1.0
    if step >= last:
        return 0.0
    return (1 - (step - first) / (last - first)) ** POWER
