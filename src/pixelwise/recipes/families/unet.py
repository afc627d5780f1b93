"""U-Net, a decoder with skip connections from every scale of the encoder."""

from __future__ import annotations

from pixelwise.recipes.schema.base import require
from pixelwise.recipes.schema.model import Described, Spec, register_spec


@register_spec
class UNetSpec(Spec, frozen=True, kw_only=True, tag="unet"):
    """U-Net decoder (Ronneberger et al. 2015, arXiv:1505.04597) on any encoder.

    Attributes:
        encoder: Name of the encoder.
        decoder_channels: Output channels of the decoder blocks, starting at the deepest. Each block doubles the
            resolution and concatenates the encoder's features of that stride, so the number of blocks determines the
            stride of the logits: on a ResNet, 5 blocks end at stride 1, 4 at stride 2.
    """

    encoder: str = "resnet18"
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32)

    def check(self, recipe: Described) -> None:
        """Refuse crops that are smaller than the stride of the deepest features."""
        crop = recipe.augment.crop
        require(
            crop is None or min(crop) >= 32,
            f"augment.crop is {list(crop or ())}; a U-Net's encoder needs at least 32 pixels",
            "make the crop larger",
        )
