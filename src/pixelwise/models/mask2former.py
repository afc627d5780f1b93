"""Mask2Former: queries look at the feature maps of an encoder, each only within its own mask, and become masks.

Cheng et al., CVPR 2022, arXiv:2112.01527. Implemented from the paper and from the graphs of the authors' code (MIT) and
of Hugging Face transformers (Apache-2.0). A pixel decoder lets the maps of stride 32, 16 and 8 look at each other by
deformable attention, and adds the one of stride 4. Learnt queries then look at the maps of stride 32, 16 and 8 in turn.
A linear classifier (with one more output, "no object") and a three-layer perceptron turn every query into a class and
an embedding before the first layer and after every one; masks are the products of these embeddings with the map of
stride 4. In the layer that follows, a query sees only the pixels of its mask, or everything if there are none. The loss
compares the masks of all layers with the labels.

Predictions are semantic scores: the sum over all queries of the mask's probability times the class's. They are 0 or
more, and a class's probability is its part of the sum of all scores.

Initial weights: Xavier's in attention and feed-forward parts, He's uniform ones in the convolutions of the pixel
decoder, PyTorch's defaults in classifier and perceptron, queries and levels from a normal distribution.

Deviations: scores are computed at stride 4 and enlarged from there, while the original enlarges the logits of the
masks. Images whose sides are no multiples of 32 are padded by repeating their border, not with the mean colour. The
weights that move and weigh the points of deformable attention begin next to 0, not at 0. Any encoder with maps of
stride 4, 8, 16 and 32 can be used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pixelwise.backbones.base import Encoder
from pixelwise.layers.attention.deformable import DeformableAttention
from pixelwise.layers.attention.multi_head import MultiHeadAttention
from pixelwise.layers.attention.positions import sine_positions
from pixelwise.layers.padding import pad_to_multiple
from pixelwise.layers.precision import without_autocast
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, index_of_stride
from pixelwise.models.probabilities import semantic_scores
from pixelwise.models.upernet import ChannelNorm, encoder_that_skips
from pixelwise.recipes.families.mask2former import GROUPS, Mask2FormerSpec

STRIDE = 4
"""Stride of the masks."""
LEVELS = (32, 16, 8)
"""Strides of the maps that the queries look at, in this order."""
HEADS = 8
POINTS = 4
"""Points that a position looks at per head and map."""
PIXEL_EXPANSION, EXPANSION = 4, 8
"""Ratio of a feed-forward part's inner channels to its outer ones, in the pixel decoder and for the queries."""


class GroupNorm(nn.GroupNorm):
    """PyTorch's, which also accepts maps in which a group has a single value."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class FeedForward(nn.Module):
    """Linear layer, ReLU, linear layer, added to the input and normalised.

    Args:
        channels: Input and output channels.
        expansion: Ratio of inner channels to them.
    """

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, expansion * channels)
        self.fc2 = nn.Linear(expansion * channels, channels)
        self.norm = nn.LayerNorm(channels)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, features: Tensor) -> Tensor:
        """(B, N, C) to the same shape."""
        return self.norm(features + self.fc2(F.relu(self.fc1(features))))


class PixelLayer(nn.Module):
    """Deformable attention of all maps to all maps, and a feed-forward part.

    Args:
        channels: Input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = DeformableAttention(channels, HEADS, len(LEVELS), POINTS)
        self.norm = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels, PIXEL_EXPANSION)

    def forward(self, features: Tensor, positions: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """(B, N, C), positions (N, C) and the size of each map, whose pixels add up to N, to (B, N, C)."""
        attended = self.attention(features + positions, features, sizes)
        return self.mlp(self.norm(features + attended))


class PixelDecoder(nn.Module):
    """Feature maps of an encoder to maps that know of each other, and a fine one whose products are masks.

    Args:
        in_channels: Channels of the encoder's maps of stride 4, 8, 16 and 32.
        channels: Channels of all results.
        layers: Number of layers.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, layers: int) -> None:
        super().__init__()
        finest, *others = in_channels
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, channels, kernel_size=1), GroupNorm(GROUPS, channels))
            for inputs in reversed(others)
        )
        self.levels = nn.Parameter(torch.randn(len(LEVELS), channels))
        self.layers = nn.ModuleList(PixelLayer(channels) for _ in range(layers))
        self.lateral = nn.Sequential(
            nn.Conv2d(finest, channels, kernel_size=1, bias=False), GroupNorm(GROUPS, channels)
        )
        self.smoothing = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            GroupNorm(GROUPS, channels),
            nn.ReLU(),
        )
        self.masks = nn.Conv2d(channels, channels, kernel_size=1)
        for module in (*self.projections, self.lateral, self.smoothing, self.masks):
            for layer in module.modules():
                if isinstance(layer, nn.Conv2d):
                    _initialise(layer, xavier=module in self.projections)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The map for the masks, and those that the queries look at.

        Args:
            features: (B, C, h, w) of stride 4, 8, 16 and 32.

        Returns:
            (B, C', h, w) of stride 4, and the same of stride 32, 16 and 8.
        """
        with without_autocast(features[0]):
            dtype = self.levels.dtype
            finest, *others = (one.to(dtype) for one in features)
            projected = [project(one) for project, one in zip(self.projections, reversed(others), strict=True)]
            sizes = [(one.shape[-2], one.shape[-1]) for one in projected]
            tokens = torch.cat([one.flatten(2) for one in projected], dim=2).transpose(1, 2)
            positions = torch.cat(
                [
                    sine_positions(*size, tokens.shape[2], tokens) + level
                    for size, level in zip(sizes, self.levels, strict=True)
                ]
            )
            for layer in self.layers:
                tokens = layer(tokens, positions, sizes)
            maps, start = [], 0
            for height, width in sizes:
                own = tokens[:, start : start + height * width]
                maps.append(own.transpose(1, 2).unflatten(2, (height, width)))
                start = start + height * width
            enlarged = F.interpolate(maps[-1], size=finest.shape[-2:], mode="bilinear", align_corners=False)
            return self.masks(self.smoothing(self.lateral(finest) + enlarged)), maps


def _initialise(layer: nn.Conv2d, *, xavier: bool) -> None:
    if xavier:
        nn.init.xavier_uniform_(layer.weight)
    else:
        nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class QueryLayer(nn.Module):
    """Queries look at a map, each within its mask, then at each other; a feed-forward part follows.

    Args:
        channels: Channels of queries and maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cross = MultiHeadAttention(channels, HEADS)
        self.cross_norm = nn.LayerNorm(channels)
        self.mutual = MultiHeadAttention(channels, HEADS)
        self.mutual_norm = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels, EXPANSION)

    def forward(self, queries: Tensor, embedding: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        """Refine queries.

        Args:
            queries: (B, Q, C).
            embedding: What tells the queries apart, (Q, C).
            keys: The map with its positions, (B, N, C).
            values: The map, (B, N, C).
            seen: Which of its pixels each query sees, bool (B, Q, N).

        Returns:
            (B, Q, C).
        """
        queries = self.cross_norm(queries + self.cross(queries + embedding, keys, values, seen))
        known = queries + embedding
        queries = self.mutual_norm(queries + self.mutual(known, known, queries))
        return self.mlp(queries)


class Level(NamedTuple):
    """A map that queries look at: its values (B, N, C), these with their positions, and its height and width."""

    values: Tensor
    keys: Tensor
    size: tuple[int, int]


class Mask2Former(SegmentationModel):
    """Encoder, pixel decoder and queries; scores at stride 4.

    Raises:
        RecipeError: R203, the encoder cannot skip blocks as often as that; R207, the encoder is unknown, cannot be
            built, cannot skip blocks, or has no map of stride 4, 8, 16 or 32.
    """

    scores = "probabilities"
    mask_classification = True

    def __init__(self, spec: Mask2FormerSpec, classes: Sequence[str], encoder: Encoder | None = None) -> None:
        super().__init__(spec, classes)
        if encoder is None:
            encoder = encoder_that_skips(spec.encoder, spec.drop_path, spec.preprocessing.in_channels)
        self.encoder = encoder
        self.maps = [index_of_stride(encoder, stride, "mask2former") for stride in (STRIDE, *reversed(LEVELS))]
        self.multiple = math.lcm(LEVELS[0], encoder.multiple)
        self.frozen_statistics = spec.frozen_statistics
        width, in_channels = spec.channels, [encoder.channels[index] for index in self.maps]
        self.feature_norms = nn.ModuleList(
            (ChannelNorm(channels) for channels in in_channels) if spec.normalize_features else ()
        )
        self.pixel_decoder = PixelDecoder(in_channels, width, spec.pixel_layers)
        self.queries = nn.Embedding(spec.queries, width)
        self.query_embedding = nn.Embedding(spec.queries, width)
        self.levels = nn.Embedding(len(LEVELS), width)
        self.layers = nn.ModuleList(QueryLayer(width) for _ in range(spec.layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, self.num_classes + 1)
        self.embedding = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )

    def train(self, mode: bool = True) -> Mask2Former:
        """Set the mode; with `frozen_statistics`, the encoder's batch normalisations stay in evaluation mode."""
        super().train(mode)
        if self.frozen_statistics:
            for module in self.encoder.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Semantic scores (B, K, ceil(H / 4), ceil(W / 4)), 0 or more; there are no auxiliary heads."""
        (masks, classes) = self.training_outputs(images)[-2:]
        return (semantic_scores(masks, classes),)

    def training_outputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Masks and classes of the queries, which the loss compares with the labels.

        Args:
            images: (B, C, H, W) float, preprocessed.

        Returns:
            Logits of masks (B, Q, ceil(H / 4), ceil(W / 4)) and of classes (B, Q, K + 1), the last of which is "no
            object". In training mode they are those before each layer, in order, and those after the last one; in
            evaluation mode only the latter.
        """
        maps = self.encoder(pad_to_multiple(images, self.multiple))
        features = [maps[index] for index in self.maps]
        if self.feature_norms:
            features = [norm(one) for norm, one in zip(self.feature_norms, features, strict=True)]
        finest, coarser = self.pixel_decoder(features)
        levels = [self._level(one, embedding) for one, embedding in zip(coarser, self.levels.weight, strict=True)]
        queries = self.queries.weight.expand(images.shape[0], -1, -1)
        outputs: list[Tensor] = []
        for place, layer in enumerate(self.layers):
            values, keys, size = levels[place % len(levels)]
            known = self.norm(queries)
            masks = self._masks(known, finest)
            if self.training:
                outputs += [crop_to_image(masks, images, STRIDE), self.classifier(known)]
            queries = layer(queries, self.query_embedding.weight, keys, values, seen_pixels(masks, size))
        known = self.norm(queries)
        return (*outputs, crop_to_image(self._masks(known, finest), images, STRIDE), self.classifier(known))

    def _level(self, features: Tensor, embedding: Tensor) -> Level:
        """The map (B, C, h, w) with what tells it from the others, (C,)."""
        height, width = features.shape[-2:]
        values = features.flatten(2).transpose(1, 2) + embedding
        return Level(values, values + sine_positions(height, width, features.shape[1], values), (height, width))

    def _masks(self, queries: Tensor, finest: Tensor) -> Tensor:
        """Logits (B, Q, h, w) from normalised queries (B, Q, C) and the map (B, C, h, w) of stride 4."""
        return torch.einsum("bqc,bchw->bqhw", self.embedding(queries), finest)


def seen_pixels(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """The pixels of a map that queries see: those of their own masks, or all of them if there are none.

    Args:
        masks: Logits (B, Q, h, w).
        size: Height and width of the map.

    Returns:
        bool (B, Q, height x width).
    """
    inside = F.interpolate(masks.detach(), size, mode="bilinear", align_corners=False).flatten(2) >= 0
    return inside | ~inside.any(2, keepdim=True)


@builds(Mask2FormerSpec)
def build(spec: Mask2FormerSpec, classes: tuple[str, ...]) -> Mask2Former:
    """Mask2Former with the encoder's default initial weights, and Xavier's and He's in the decoders."""
    return Mask2Former(spec, classes)
