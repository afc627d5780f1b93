"""The contract that every network of every family keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.resizing import same_size
from pixelwise.recipes.schema.model import Preprocessing, Spec


class SegmentationModel(nn.Module, ABC):
    """Images in, one logit per class and pixel out, at any image size.

    A network has one output per class. Pixels that belong to no class are ignored by the loss (255)
    and never predicted.

    Args:
        spec: What the network is.
        classes: Class names; the position is the class id.

    Attributes:
        spec: What the network is.
        classes: Class names; the position is the class id.
        num_classes: K, the number of class names.
        preprocessing: How a uint8 image becomes this network's input.
        multilabel: Whether a pixel may belong to several classes: each logit is that of a sigmoid of its own.
        align_corners: How the logits are enlarged to the size of the images: True where the original code does so.
        fixed_size: The one (height, width) that an exported network may be limited to; None: any.
        gives_scores: False for an exported network that gives class ids: its logits are 1 and 0.
    """

    align_corners: bool = False
    multilabel: bool = False
    fixed_size: tuple[int, int] | None = None
    gives_scores: bool = True

    def __init__(self, spec: Spec, classes: Sequence[str]) -> None:
        super().__init__()
        self.spec: Spec = spec
        self.classes: tuple[str, ...] = tuple(classes)
        self.num_classes: int = len(self.classes)
        self.preprocessing: Preprocessing = spec.preprocessing

    @abstractmethod
    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits at the strides of the network's heads.

        Padding the input and cropping the logits, where an architecture needs it, happens in here:
        logits always cover exactly the extent of the images. A head of stride s gives
        ceil(H / s) x ceil(W / s) logits.

        Args:
            images: (B, C, H, W) float, preprocessed, C = `preprocessing.in_channels`; any H and W from 1 on in
                evaluation mode.

        Returns:
            The main logits (B, K, h, w) first; in training mode those of auxiliary heads follow.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Main logits at the size of the images.

        Args:
            images: (B, C, H, W) float, preprocessed.

        Returns:
            (B, K, H, W), interpolated bilinearly if the head has a stride.
        """
        logits = self.head_logits(images)[0]
        size = images.shape[-2:]
        if same_size(logits, images):
            return logits
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=self.align_corners)
