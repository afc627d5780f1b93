"""The base class of all networks: `SegmentationModel`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.layers.resizing import same_size
from pixelwise.models.probabilities import Scores
from pixelwise.recipes.schema.model import Preprocessing, Spec


class SegmentationModel(nn.Module, ABC):
    """A segmentation network: images of any size in, one logit per class and pixel out.

    A network has one output per class. Pixels that belong to no class are labelled 255: the loss ignores them, and
    no pixel is ever predicted as 255.

    Args:
        spec: Description of the architecture.
        classes: Class names; the position is the class id.

    Attributes:
        spec: Description of the architecture.
        classes: Class names; the position is the class id.
        num_classes: K, the number of class names.
        boundary_head: Whether the last of the heads in training mode is a boundary head: one logit per pixel, above 0
            where the network expects another class nearby.
        preprocessing: Normalisation that turns a uint8 image into the input of this network.
        scores: Meaning of the outputs: `logits`, whose softmax (or sigmoid, see `multilabel`) are probabilities, or
            `probabilities`, scores of 0 or more of which a class's probability is its part of the sum over the classes.
            `pixelwise.models.probabilities` turns both into probabilities.
        mask_classification: Whether the network predicts masks and their classes, which `training_outputs` returns.
        multilabel: Whether a pixel may belong to several classes; each logit then goes through its own sigmoid.
        align_corners: Whether logits are upsampled to the image size with aligned corners, as some original code does.
        traced_size: (height, width) of the images by which a graph for images of any size is traced: values that no
            stride divides and that occur nowhere in a network, so that none of them is mistaken for a constant, and so
            large that no map of the network has a single row or column, which always is. Of those of the network and
            of its parts, the largest is used.
        fixed_size: The only (height, width) that an exported network accepts; None: any size.
        gives_scores: False for an exported network that returns class ids only: its logits are 1 and 0.
        enlarged_to: Stride to which an exported network has already enlarged its logits; None: they are as its head
            gives them.
    """

    scores: Scores = "logits"
    mask_classification: bool = False
    align_corners: bool = False
    multilabel: bool = False
    traced_size: tuple[int, int] = (65, 98)
    fixed_size: tuple[int, int] | None = None
    gives_scores: bool = True
    enlarged_to: int | None = None

    def __init__(self, spec: Spec, classes: Sequence[str]) -> None:
        super().__init__()
        self.spec: Spec = spec
        self.classes: tuple[str, ...] = tuple(classes)
        self.num_classes: int = len(self.classes)
        self.boundary_head: bool = spec.boundary_head
        self.preprocessing: Preprocessing = spec.preprocessing

    @abstractmethod
    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits at the strides of the network's heads.

        Where an architecture has to pad its input and crop its logits, it does so here: logits always cover exactly
        the extent of the images. A head of stride s returns ceil(H / s) x ceil(W / s) logits.

        Args:
            images: (B, C, H, W) float, preprocessed, C = `preprocessing.in_channels`; in evaluation mode any H and W
                of 1 or more.

        Returns:
            The main logits (B, K, h, w) first; in training mode, those of the auxiliary heads follow, and last those
            of the boundary head, (B, 1, h, w), if the network has one.
        """

    def training_outputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """What the loss compares with the labels: the logits of all heads, or masks and classes.

        Args:
            images: (B, C, H, W) float, preprocessed.

        Returns:
            `head_logits(images)`. With `mask_classification`, in turn, logits of masks (B, Q, h, w) and of classes
            (B, Q, K + 1), the last of which is "no object", as often as the network predicts them; the last two are the
            result.
        """
        return self.head_logits(images)

    def at(self, step: int, steps: int) -> None:
        """Called before each optimizer step of a training, for networks whose layers change in its course.

        Args:
            step: Number of steps done before this one.
            steps: Number of steps of the whole training.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Main logits at the image size.

        Args:
            images: (B, C, H, W) float, preprocessed.

        Returns:
            (B, K, H, W), upsampled bilinearly if the stride of the head is above 1.
        """
        logits = self.head_logits(images)[0]
        size = images.shape[-2:]
        if same_size(logits, images):
            return logits
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=self.align_corners)
