"""The contract that every encoder keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from pixelwise.backbones.timm_layers import layers_from_head


class Encoder(nn.Module, ABC):
    """Images in, a list of feature maps out, from fine to coarse.

    An encoder that is a shell around a network of timm keeps that network in `network`.

    Attributes:
        name: Its name in recipes.
        timm_name: timm's name of the network whose pretrained weights fit; empty: timm has none.
        untrained: How the keys of the state dict begin that no pretrained weights are for.
        channels: C of each feature map.
        strides: Stride of each feature map; powers of two that do not shrink.
        multiple: Input sizes have to be multiples of this; 1 if any size is right.
    """

    name: str
    timm_name: str = ""
    untrained: tuple[str, ...] = ()
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int = 1

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) float, sizes multiples of `multiple`, to one (B, C, h, w) per feature map.

        A map of stride s has ceil(H / s) x ceil(W / s) pixels.
        """

    def layers_from_head(self) -> dict[str, int] | None:
        """How many layers before the head each pretrained parameter is, as timm counts them.

        Returns:
            Name of a parameter -> its distance: 1 for the last block, more towards the image, 0 for what learns
            like the head. None: the network is not timm's, or timm does not know its blocks.
        """
        network = getattr(self, "network", None)
        if not self.timm_name or not isinstance(network, nn.Module):
            return None
        counted = layers_from_head(self.timm_name, network)
        return None if counted is None else {f"network.{key}": distance for key, distance in counted.items()}
