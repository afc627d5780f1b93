"""Exported artefacts that evaluate and predict like the network that they were exported from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.models.base import SegmentationModel
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.opened import Artefact, open_artefact, open_engine
from pixelwise.runtimes.sidecar import Sidecar
from pixelwise.runtimes.targets import Engine

__all__ = ["ArtefactModel", "load_artefact", "open_engine"]


class ArtefactModel(SegmentationModel, Artefact):
    """Wraps an artefact in the interface of a network, so that evaluation and prediction treat both alike.

    Args:
        sidecar: Description of the artefact, from `model.toml`.
        engine: Function that runs the artefact.
        path: The artefact's file, for error messages.
    """

    def __init__(self, sidecar: Sidecar, engine: Engine, path: Path) -> None:
        # The graph is the network: its family, which another package may define, is not needed to run it.
        SegmentationModel.__init__(self, Spec(preprocessing=sidecar.preprocessing), sidecar.classes)
        Artefact.__init__(self, sidecar, engine, path)
        self.multilabel = sidecar.multilabel
        self.align_corners = sidecar.output.align_corners
        self.fixed_size = sidecar.input.size
        self.scores = sidecar.output.scores
        self.gives_scores = sidecar.output.name == "logits"
        self.enlarged_to = sidecar.output.enlarged_to
        # Shows callers the device of the inputs, as a network's parameters do: these runtimes compute on the CPU.
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)
        self.eval()

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The artefact's logits (B, K, h, w), as the only element; class ids are returned as one-hot values.

        Images that are smaller than an artefact's only size are padded with zeros, the mean colour, at the right and
        at the bottom; the logits then have the size of the images.

        Raises:
            CheckpointError: K464, the artefact takes only smaller images; K463, the runtime fails.
        """
        size = (images.shape[-2], images.shape[-1])
        if self.fixed_size is not None and size != self.fixed_size:
            return (self._padded(images, size, self.fixed_size),)
        inputs = self._bytes(images) if self.sidecar.input.dtype == "uint8" else images.float()
        return (self.logits_of(inputs.cpu().contiguous().numpy()).to(images.device),)

    def logits_of(self, inputs: np.ndarray) -> Tensor:
        """The artefact's logits (B, K, h, w) on the CPU; class ids are returned as one-hot values.

        Args:
            inputs: Array as described by `sidecar.input`, but with any number of images.

        Raises:
            CheckpointError: K463, the runtime fails.
        """
        outputs = torch.from_numpy(self.checked(inputs))
        if self.gives_scores:
            return outputs
        # A comparison takes two thirds of the time of `one_hot`, and its result is contiguous.
        class_ids = torch.arange(self.num_classes, dtype=outputs.dtype)[:, None, None]
        return (outputs[:, None] == class_ids).float()

    def _padded(self, images: Tensor, size: Size, fixed: Size) -> Tensor:
        """Logits (B, K, H, W) of images (B, C, H, W) that are smaller than the artefact's only size."""
        self.refuse_larger(size, fixed)
        (logits,) = self.head_logits(F.pad(images, (0, fixed[1] - size[1], 0, fixed[0] - size[0])))
        if logits.shape[-2:] != fixed:
            logits = F.interpolate(logits, size=fixed, mode="bilinear", align_corners=self.align_corners)
        return logits[..., : size[0], : size[1]]

    def _bytes(self, images: Tensor) -> Tensor:
        """Undo the normalisation: images (B, 3, H, W) to the original uint8 (B, H, W, 3)."""
        mean, std = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        unit = images.float() * std + mean
        return unit.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def load_artefact(path: Path, threads: int | None = None, *, trust: bool = False) -> ArtefactModel:
    """Open an artefact as a network; arguments and errors are those of `open_artefact`."""
    return open_artefact(path, ArtefactModel, threads, trust=trust)
