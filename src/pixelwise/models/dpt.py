"""DPT: several blocks of a plain vision transformer, reassembled to a pyramid of maps that a decoder fuses.

Ranftl, Bochkovskiy and Koltun, ICCV 2021, arXiv:2103.13413. Implemented from the paper and from the graphs of the
authors' code (MIT), of mmsegmentation and of Hugging Face transformers (both Apache-2.0). The patches' tokens after
four blocks, each joined with the class token and projected, or without it, become maps of four resolutions: by 1x1
convolutions, then transposed ones of four and two patches, nothing, and a 3x3 convolution of stride 2. 3x3 convolutions
bring them to the same channels. From the coarsest on, the sum of what was fused before and of a residual unit of the
next map goes through another residual unit, is enlarged twofold with aligned corners and projected. The head is a 3x3
convolution, dropout of single values and a classifier, at half the size of the image for patches of 16 pixels.

Initial weights: He's with fan-out in the decoder, PyTorch's defaults where maps change their size, normal (0.01) in the
classifier.

Deviations: any plain transformer can be used; with patches of another size, strides follow from them. The residual unit
that the authors' code builds for the coarsest map, but never uses, is left out. Where the grid of patches has an odd
side, what was fused is brought to the size of the next map; the authors' code refuses such images, and the others
resize the map to what was fused. Images whose sides are no multiples of the patches are padded, and the logits of the
padding are cut off. There is neither an auxiliary head nor the hybrid encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.taps import TAPS, TappedEncoder
from pixelwise.errors import RecipeError
from pixelwise.layers.convolutions import conv_norm_relu
from pixelwise.layers.heads import DROPOUT
from pixelwise.layers.initialisation import he_normal, small_normal
from pixelwise.layers.resizing import resize_to
from pixelwise.models.base import SegmentationModel
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image, encode, expect_positive
from pixelwise.recipes.families.dpt import DPTSpec

FINEST = 8
"""How many times finer than the patches the logits are."""


class Reassembling(nn.Module):
    """The map of a block, brought to its channels and its scale in the pyramid.

    Args:
        width: Channels of a token.
        channels: Channels of the result.
        place: Place in the pyramid: 0 and 1 enlarge the map four- and twofold, 2 leaves its size, 3 halves it.
        with_class_token: Whether the map has twice the width: the class token follows each patch's.
    """

    def __init__(self, width: int, channels: int, place: int, *, with_class_token: bool) -> None:
        super().__init__()
        self.readout = (
            nn.Sequential(nn.Conv2d(2 * width, width, kernel_size=1), nn.GELU()) if with_class_token else nn.Identity()
        )
        self.project = he_normal(nn.Conv2d(width, channels, kernel_size=1))
        resizings = (
            nn.ConvTranspose2d(channels, channels, kernel_size=4, stride=4),
            nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2),
            nn.Identity(),
            nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1),
        )
        self.resize = resizings[place]

    def forward(self, features: Tensor) -> Tensor:
        """(B, width or twice as many, h, w) to (B, channels, H, W)."""
        return self.resize(self.project(self.readout(features)))


class ResidualUnit(nn.Module):
    """Twice ReLU, 3x3 convolution and batch normalisation, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = he_normal(
            nn.Sequential(
                *(
                    layer
                    for _ in range(2)
                    for layer in (
                        nn.ReLU(),
                        nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
                        nn.BatchNorm2d(channels),
                    )
                )
            )
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        return features + self.layers(features)


class Fusion(nn.Module):
    """A map of the pyramid, added to what was fused before it; enlarged to the size of the next one.

    Args:
        channels: Channels of all maps.
        first: Whether nothing was fused before.
    """

    def __init__(self, channels: int, *, first: bool) -> None:
        super().__init__()
        self.lateral = None if first else ResidualUnit(channels)
        self.unit = ResidualUnit(channels)
        self.project = he_normal(nn.Conv2d(channels, channels, kernel_size=1))

    def forward(self, fused: Tensor, here: Tensor | None, following: Tensor | None) -> Tensor:
        """Fuse.

        Args:
            fused: (B, C, h, w), the result for the coarser map; for the coarsest, the map itself.
            here: (B, C, h, w), the map; None for the coarsest.
            following: The next finer map, whose size the result has; None: it has twice the size.

        Returns:
            (B, C, H, W).
        """
        if self.lateral is not None and here is not None:
            fused = fused + self.lateral(here)
        fused = self.unit(fused)
        if following is None:
            fused = F.interpolate(fused, scale_factor=2, mode="bilinear", align_corners=True)
        else:
            fused = resize_to(fused, following, align_corners=True)
        return self.project(fused)


class DPTHead(nn.Module):
    """Reassembling, fusion and classifier.

    Args:
        width: Channels of a token.
        reassembled: Channels of the scales of the pyramid, from fine to coarse.
        channels: Channels of the decoder.
        num_classes: Number of outputs of the classifier.
        with_class_token: Whether the maps have twice the width: the class token follows each patch's.
    """

    def __init__(
        self, width: int, reassembled: Sequence[int], channels: int, num_classes: int, *, with_class_token: bool
    ) -> None:
        super().__init__()
        self.reassembling = nn.ModuleList(
            Reassembling(width, each, place, with_class_token=with_class_token)
            for place, each in enumerate(reassembled)
        )
        self.laterals = nn.ModuleList(
            he_normal(nn.Conv2d(each, channels, kernel_size=3, padding=1, bias=False)) for each in reassembled
        )
        # From coarse to fine.
        self.fusions = nn.ModuleList(Fusion(channels, first=place == 0) for place in range(len(reassembled)))
        self.project = he_normal(conv_norm_relu(channels, channels, 3))
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)
        small_normal(self.classifier)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """One (B, C, h, w) per block, from the first to the last, to logits (B, K, 8h, 8w)."""
        maps = [
            lateral(reassemble(each))
            for reassemble, lateral, each in zip(self.reassembling, self.laterals, features, strict=True)
        ]
        coarse_to_fine = [*reversed(maps)]
        fused = coarse_to_fine[0]
        for place, fuse in enumerate(self.fusions):
            here = coarse_to_fine[place] if place else None
            following = coarse_to_fine[place + 1] if place + 1 < len(maps) else None
            fused = fuse(fused, here, following)
        return self.classifier(self.dropout(self.project(fused)))


class DPT(SegmentationModel):
    """A plain transformer and its decoder; logits at an eighth of the stride of the patches.

    Raises:
        RecipeError: R203, numbers of the spec do not fit together or the encoder; R207, the encoder is unknown, not a
            plain transformer, has patches of less than 8 pixels, or no class token to read.
    """

    def __init__(self, spec: DPTSpec, classes: Sequence[str], encoder: TappedEncoder | None = None) -> None:
        super().__init__(spec, classes)
        expect_four("taps", spec.taps, "for example [2, 5, 8, 11]")
        expect_four("reassembled", spec.reassembled, "for example [48, 96, 192, 384]")
        expect_positive("reassembled", spec.reassembled or (), "for example [48, 96, 192, 384]")
        expect_positive("channels", (spec.channels,), "the original has 256")
        if encoder is None:
            encoder = TappedEncoder(
                spec.encoder,
                spec.taps,
                normalize=spec.normalize_features,
                class_token=spec.readout == "project",
                in_channels=spec.preprocessing.in_channels,
            )
        if encoder.multiple < FINEST:
            raise RecipeError(
                "R207",
                f"DPT needs patches of {FINEST} pixels or more; those of '{spec.encoder}' have {encoder.patch}",
                "choose another encoder, such as vit_small_patch14_reg4_dinov2",
            )
        self.encoder = encoder
        self.align_corners = spec.align_corners
        self.stride: int = encoder.multiple // FINEST
        width = encoder.width
        self.head = DPTHead(
            width,
            spec.reassembled or (width // 8, width // 4, width // 2, width),
            spec.channels,
            self.num_classes,
            with_class_token=encoder.class_token,
        )

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (B, K, ceil(H / s), ceil(W / s)) at stride s, 2 for patches of 16; there are no auxiliary heads."""
        return (crop_to_image(self.head(encode(self.encoder, images)), images, self.stride),)


def expect_four(field: str, numbers: tuple[int, ...] | None, example: str) -> None:
    """Check that a field of the spec has one value per map of the pyramid.

    Args:
        field: Name of the field under `model` in the recipe.
        numbers: Values of the field; None: its default.
        example: Hint of the error.

    Raises:
        RecipeError: R203, it has another number of values.
    """
    if numbers is not None and len(numbers) != TAPS:
        raise RecipeError(
            "R203", f"model.{field} is {list(numbers)}; expected {TAPS} values, one per scale", f"{example}, or none"
        )


@builds(DPTSpec)
def build(spec: DPTSpec, classes: tuple[str, ...]) -> DPT:
    """DPT with the encoder's default initial weights, and He's in the decoder."""
    return DPT(spec, classes)
