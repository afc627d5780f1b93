"""SegNeXt: three scales of a convolutional encoder, and a head that factorises the features of the whole image.

Guo et al., NeurIPS 2022, arXiv:2209.08575; the head is the light Hamburger of Geng et al., ICLR 2021, arXiv:2109.04553.
Implemented from the papers and from the graph of the authors' code (Visual-Attention-Network/SegNeXt@c87bcae,
Apache-2.0): scales are enlarged bilinearly to stride 8, corners not aligned, joined, and squeezed by a 1x1 convolution;
what remains of them after a non-negative matrix factorisation is added to them, and another 1x1 convolution follows.
All have group normalisation with 32 groups, except the one before the factorisation, which has a bias. Whole channels
are dropped before the classifier. Gradients flow through all iterations of the factorisation.

Initial weights: He's with fan-out in the head, normal (0.01) in the classifier.

Deviations:

- The factorisation begins from random bases. The original draws them anew for every image in evaluation too, so that
  its logits differ from one call to the next; published scores are those of one draw. Here evaluation always begins
  from the same bases, a drawn tensor that is kept with the weights: evaluation is repeatable, and an exported network
  computes the same. In training they are drawn for every image as in the original, from PyTorch's generator, whose
  state a checkpoint contains.
- The factorisation computes in float32 at least: in float16, its sums over all pixels overflow.
- Any encoder can be used; scales finer than stride 8 are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.errors import RecipeError
from pixelwise.layers.heads import DROPOUT
from pixelwise.layers.initialisation import he_normal, small_normal
from pixelwise.layers.precision import at_least_float32, without_autocast
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode, expect_positive, scales_finer_than
from pixelwise.recipes.families.segnext import SegNeXtSpec

FINEST = 8
"""Scales finer than this stride are not used."""
GROUPS = 32
"""Groups of the head's normalisations."""
STEPS_IN_TRAINING, STEPS = 6, 7
"""Number of updates of both factors; one more of the coefficients follows."""
EPS = 1e-6
"""Added to denominators."""
SEED = 0
"""Seed of the bases from which evaluation begins."""


def factorised(features: Tensor, bases: Tensor, steps: int) -> Tensor:
    """Approximate non-negative features by a non-negative matrix factorisation with multiplicative updates.

    The update rules are those of Lee and Seung (2000), which never increase the squared error.

    Args:
        features: (B, D, N) float, 0 or more: N vectors of D numbers.
        bases: (B, D, R) or (1, D, R) float, 0 or more: the R vectors to begin from.
        steps: Number of updates of both factors.

    Returns:
        (B, D, N): each vector as a non-negative combination of the R updated ones.
    """
    coefficients = F.softmax(features.transpose(1, 2) @ bases, dim=-1)  # (B, N, R)
    for _ in range(steps):
        coefficients = _updated(coefficients, features.transpose(1, 2), bases)
        bases = _updated(bases, features, coefficients)
    return bases @ _updated(coefficients, features.transpose(1, 2), bases).transpose(1, 2)


def _updated(factor: Tensor, product: Tensor, other: Tensor) -> Tensor:
    """One multiplicative update of `factor` (B, X, R) so that factor @ other^T approaches `product` (B, X, Y)."""
    return factor * (product @ other) / (factor @ (other.transpose(1, 2) @ other) + EPS)


class Factorisation(nn.Module):
    """Non-negative matrix factorisation of the features of an image, whose pixels share a few vectors.

    Args:
        channels: Channels of the features.
        bases: Number of vectors.

    Attributes:
        bases: (channels, bases) float, the vectors that evaluation begins from, each of length 1. A buffer that is
            kept with the weights and that training does not change.
    """

    bases: Tensor

    def __init__(self, channels: int, bases: int) -> None:
        super().__init__()
        # The same for every device, type of numbers and seed of a run.
        generator = torch.Generator().manual_seed(SEED)
        drawn = torch.rand(channels, bases, generator=generator, dtype=torch.float32, device="cpu")
        self.register_buffer("bases", F.normalize(drawn, dim=0).to(torch.get_default_device()))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) float, 0 or more, to the same shape and type."""
        wide = at_least_float32(features).flatten(2)
        if self.training:
            drawn = torch.rand(len(wide), *self.bases.shape, dtype=wide.dtype, device=wide.device)
            bases, steps = F.normalize(drawn, dim=1), STEPS_IN_TRAINING
        else:
            bases, steps = self.bases[None].to(wide.dtype), STEPS
        with without_autocast(wide):
            approximated = factorised(wide, bases, steps)
        return approximated.reshape(features.shape).to(features.dtype)


class Hamburger(nn.Module):
    """A factorisation between two 1x1 convolutions, added to the input.

    Args:
        channels: Input and output channels.
        bases: Number of vectors of the factorisation.
    """

    def __init__(self, channels: int, bases: int) -> None:
        super().__init__()
        self.before = nn.Conv2d(channels, channels, kernel_size=1)
        self.factorisation = Factorisation(channels, bases)
        self.after = ConvGroupNorm(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return F.relu(features + self.after(self.factorisation(F.relu(self.before(features)))))


class GroupNorm(nn.GroupNorm):
    """Group normalisation that accepts a map of one pixel where every channel is a group; PyTorch's refuses that."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class ConvGroupNorm(nn.Module):
    """1x1 convolution without bias, group normalisation.

    Args:
        in_channels: Channels of the input features.
        channels: Output channels, a multiple of `GROUPS`.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel_size=1, bias=False)
        self.norm = GroupNorm(GROUPS, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        return self.norm(self.conv(features))


class SegNeXtHead(nn.Module):
    """Squeezing convolution, Hamburger, aligning convolution and classifier.

    Args:
        in_channels: Channels of each scale, from fine to coarse.
        channels: Output channels of every convolution.
        bases: Number of vectors of the factorisation.
        num_classes: Number of outputs of the classifier.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, bases: int, num_classes: int) -> None:
        super().__init__()
        self.squeeze = ConvGroupNorm(sum(in_channels), channels)
        self.hamburger = Hamburger(channels, bases)
        self.align = ConvGroupNorm(channels, channels)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)
        he_normal(self)
        small_normal(self.classifier)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """One (B, C, h, w) per scale, from fine to coarse, to logits (B, K, H, W) of the size of the finest."""
        finest, *coarser = features
        joined = torch.cat([finest, *(resize_to(scale, finest) for scale in coarser)], dim=1)
        squeezed = F.relu(self.squeeze(joined))
        return self.classifier(self.dropout(F.relu(self.align(self.hamburger(squeezed)))))


class SegNeXt(SegmentationModel):
    """Encoder and SegNeXt's head; logits at stride 8, or at the encoder's finest if that is coarser.

    Raises:
        RecipeError: R203, the head cannot have that width or so few bases; R207, the encoder is unknown, cannot be
            built, or has fewer than two scales to join.
    """

    def __init__(self, spec: SegNeXtSpec, classes: Sequence[str]) -> None:
        super().__init__(spec, classes)
        expect_positive("bases", (spec.bases,), "16 and 64 are published")
        if spec.channels < 1 or spec.channels % GROUPS:
            raise RecipeError(
                "R203",
                f"model.channels is {spec.channels}; SegNeXt's head needs a multiple of {GROUPS}, its groups",
                "256, 512 and 1024 are published",
            )
        self.encoder = build_encoder(spec.encoder, in_channels=spec.preprocessing.in_channels)
        self.finer = scales_finer_than(FINEST, self.encoder, "SegNeXt", "mscan_t")
        in_channels = self.encoder.channels[self.finer :]
        self.stride: int = self.encoder.strides[self.finer]
        self.head = SegNeXtHead(in_channels, spec.channels, spec.bases, self.num_classes)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / s), ceil(W / s)) at stride s; there are no auxiliary heads."""
        logits = self.head(encode(self.encoder, images)[self.finer :])
        return (crop_to_image(logits, images, self.stride),)


@builds(SegNeXtSpec)
def build(spec: SegNeXtSpec, classes: tuple[str, ...]) -> SegNeXt:
    """SegNeXt with random initial weights."""
    return SegNeXt(spec, classes)
