"""The base class of all encoders: `Encoder`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from pixelwise.backbones.timm_layers import layers_from_head


class Encoder(nn.Module, ABC):
    """An encoder: images in, a list of feature maps out, from fine to coarse.

    An encoder that wraps a timm network keeps that network in `network`.

    Attributes:
        name: Name of the encoder in recipes.
        timm_name: timm's name of the model whose pretrained weights fit; empty if there is none.
        untrained: Prefixes of state-dict keys for which there are no pretrained weights.
        channels: Number of channels of each feature map.
        strides: Stride of each feature map: powers of two in non-decreasing order.
        multiple: Number that input heights and widths have to be multiples of; 1 if any size is accepted.
        traced_size: (height, width) of images by which a graph for images of any size can be traced, if it needs larger
            ones than networks do by themselves; see `SegmentationModel`.
    """

    name: str
    timm_name: str = ""
    untrained: tuple[str, ...] = ()
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    multiple: int = 1
    traced_size: tuple[int, int] = (1, 1)

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) float, sizes multiples of `multiple`, to one (B, C, h, w) per feature map.

        A map of stride s has ceil(H / s) x ceil(W / s) pixels.
        """

    def adapted(self, key: str, theirs: Tensor) -> Tensor:
        """A pretrained tensor in the shape of this encoder's own.

        Args:
            key: Name of the encoder's tensor.
            theirs: The pretrained one.

        Returns:
            `theirs` itself where nothing has to change, or where it cannot fit.
        """
        return theirs

    def layers_from_head(self) -> dict[str, int] | None:
        """The distance of each pretrained parameter from the head, in layers as timm counts them.

        Returns:
            Name of a parameter -> its distance: 1 for the last block, more towards the image, 0 for parameters that
            learn like the head. None if the network is not timm's, or if timm does not know its blocks.
        """
        network = getattr(self, "network", None)
        if not self.timm_name or not isinstance(network, nn.Module):
            return None
        counted = layers_from_head(self.timm_name, network)
        return None if counted is None else {f"network.{key}": distance for key, distance in counted.items()}
