"""Mask2Former, queries that find masks in the feature maps of any encoder."""

from __future__ import annotations

from typing import ClassVar

from pixelwise.recipes.schema.base import require
from pixelwise.recipes.schema.model import Described, Spec, check_mask_classification, register_spec

GROUPS = 32
"""Groups of channels that are normalised together."""


@register_spec
class Mask2FormerSpec(Spec, frozen=True, kw_only=True, tag="mask2former"):
    """Mask2Former (Cheng et al. 2022, arXiv:2112.01527): queries look at feature maps, each within its own mask.

    Attributes:
        encoder: Name of the encoder, which has feature maps of stride 4, 8, 16 and 32: `resnet50`, `swin_tiny`, or most
            others with several scales.
        normalize_features: Whether every feature map is normalised over its channels before the decoder reads it, as is
            usual for Swin and ConvNeXt.
        drop_path: Probability that an image skips the last block of the encoder in training; it grows linearly from 0
            at the first block. Only Swin and those of timm's networks that skip blocks can have more than 0.
        frozen_statistics: Whether the encoder's batch normalisations keep, in training too, the statistics that they
            start with, as small batches of images that resemble those of pretraining ask for.
        queries: Number of masks that the network predicts, each with its class.
        channels: Channels of queries and feature maps, a multiple of 32.
        layers: Number of layers in which queries look at feature maps, coarse, medium and fine ones in turn.
        pixel_layers: Number of layers in which feature maps look at each other before.
    """

    mask_classification: ClassVar[bool] = True

    encoder: str = "resnet50"
    normalize_features: bool = False
    drop_path: float = 0.0
    frozen_statistics: bool = False
    queries: int = 100
    channels: int = 256
    layers: int = 9
    pixel_layers: int = 6

    def check(self, recipe: Described) -> None:
        """Refuse pixels of several classes, and numbers that no network can have.

        Raises:
            RecipeError: R203, with the field and a way out.
        """
        check_mask_classification(recipe, "Mask2Former", self.queries)
        require(self.layers >= 1, f"model.layers is {self.layers}; expected 1 or more", "for example 9")
        require(
            self.pixel_layers >= 0, f"model.pixel_layers is {self.pixel_layers}; expected 0 or more", "for example 6"
        )
        require(
            self.channels >= GROUPS and self.channels % GROUPS == 0,
            f"model.channels is {self.channels}; expected a multiple of {GROUPS}",
            "for example 256",
        )
