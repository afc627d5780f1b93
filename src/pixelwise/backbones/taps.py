"""Plain vision transformers that are read after several of their blocks, all at the stride of their patches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.timm import REFUSALS, has_one_stride, is_model, unusable
from pixelwise.backbones.vit import ViTEncoder
from pixelwise.errors import RecipeError

TAPS = 4
"""Number of blocks that are read if nobody says which."""


class TappedEncoder(ViTEncoder):
    """A plain timm transformer with random weights, whose feature maps are the patches' tokens after some blocks.

    Blocks after the last one that is read are left out, and so is the network's last normalisation if it is not used.

    Args:
        name: timm's name of the model.
        taps: The blocks, from 0, in increasing order; None: the last one of each quarter.
        normalize: Whether the network's last normalisation is applied to every map.
        class_token: Whether the class token after the same block follows the channels of every patch.
        in_channels: Number of bands of the input images.
        **options: Further arguments of the network's constructor, such as `depth`.

    Attributes:
        width: Channels of a token.
        taps: The blocks that are read.

    Raises:
        RecipeError: R203, the network does not have such blocks; R207, the model is not a plain transformer, cannot be
            read after its blocks, or has no class token.
    """

    def __init__(
        self,
        name: str,
        taps: tuple[int, ...] | None = None,
        *,
        normalize: bool = True,
        class_token: bool = False,
        in_channels: int = 3,
        **options: Any,
    ) -> None:
        if not (is_model(name) and has_one_stride(name)):
            build_encoder(name, in_channels=in_channels)  # a name that no library knows says so itself
            raise RecipeError(
                "R207",
                f"'{name}' is not a plain vision transformer, whose blocks all have one stride",
                "choose one, such as vit_small_patch14_reg4_dinov2 or vit_small_patch16_dinov3_qkvb, or a family that "
                "reads several strides, such as upernet",
            )
        super().__init__(name, maps=1, in_channels=in_channels, **options)
        if class_token and getattr(self.network, "cls_token", None) is None:
            raise RecipeError("R207", f"'{name}' has no class token to read", "set model.readout=ignore")
        blocks = len(self.network.blocks)
        self.taps = chosen_taps(name, blocks, taps)
        self.width: int = self.channels[-1]
        self.normalize, self.class_token = normalize, class_token
        self.network.prune_intermediate_layers(list(self.taps), prune_norm=not normalize, prune_head=True)
        self.strides = (self.multiple,) * len(self.taps)
        self.channels = (self.width * (2 if class_token else 1),) * len(self.taps)
        try:
            with torch.no_grad():
                self(torch.zeros(1, in_channels, self.multiple, 2 * self.multiple))
        except (*REFUSALS, IndexError) as error:
            raise unusable(name, f"it cannot be read after its blocks ({error})") from error

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W), sizes multiples of `multiple`, to one (B, C, H / s, W / s) per tap, s = `multiple`.

        With `class_token`, C is twice the width: a patch's token, then the class token.
        """
        further = {"return_prefix_tokens": True} if self.class_token else {}
        found = self.network.forward_intermediates(
            self._in_patches(images),
            indices=list(self.taps),
            norm=self.normalize,
            output_fmt="NCHW",
            intermediates_only=True,
            **further,
        )
        if not self.class_token:
            return list(found)
        return [
            torch.cat([patches, before[:, 0, :, None, None].expand_as(patches)], dim=1) for patches, before in found
        ]


def chosen_taps(name: str, blocks: int, taps: tuple[int, ...] | None) -> tuple[int, ...]:
    """The blocks that are read.

    Args:
        name: timm's name of the transformer.
        blocks: Number of its blocks.
        taps: The blocks, from 0, in increasing order; None: the last one of each quarter.

    Raises:
        RecipeError: R203, the network does not have such blocks; R207, it has too few for the default.
    """
    taps = _quarters(name, blocks) if taps is None else taps
    if not taps or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < blocks:
        raise RecipeError(
            "R203",
            f"model.taps is {list(taps)}; expected blocks of '{name}', 0..{blocks - 1}, in increasing order",
            "leave it out for the last block of each quarter",
        )
    return taps


def _quarters(name: str, blocks: int) -> tuple[int, ...]:
    """The last block of each quarter of the blocks."""
    if blocks < TAPS:
        raise unusable(name, f"it has {blocks} block(s), of which {TAPS} are to be read")
    return tuple(blocks * part // TAPS - 1 for part in range(1, TAPS + 1))
