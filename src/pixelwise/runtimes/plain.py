"""Exported artefacts that predict where PyTorch is not installed: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.interpolation import resized
from pixelwise.runtimes.opened import Artefact
from pixelwise.runtimes.sidecar import Sidecar
from pixelwise.runtimes.targets import Engine


class PlainArtefact(Artefact):
    """An artefact with what prediction reads of a network; its values are arrays.

    Args:
        sidecar: Description of the artefact, from `model.toml`.
        engine: Function that runs the artefact.
        path: The artefact's file, for error messages.

    Attributes:
        classes: Class names; the position is the class id.
        num_classes: K, the number of class names.
        preprocessing: Normalisation of images.
        multilabel: Whether a pixel may belong to several classes.
        align_corners: Convention for resizing logits.
        fixed_size: The only (height, width) of images that it accepts; None: any size.
        scores: Meaning of the outputs.
        gives_scores: False if it returns class ids: its logits are 1 and 0.
        enlarged_to: Stride to which it has already enlarged its logits; None: they are as its head gives them.
    """

    def __init__(self, sidecar: Sidecar, engine: Engine, path: Path) -> None:
        super().__init__(sidecar, engine, path)
        self.classes = sidecar.classes
        self.num_classes = len(sidecar.classes)
        self.preprocessing = sidecar.preprocessing
        self.multilabel = sidecar.multilabel
        self.align_corners = sidecar.output.align_corners
        self.fixed_size = sidecar.input.size
        self.scores: Literal["logits", "probabilities"] = sidecar.output.scores
        self.gives_scores = sidecar.output.name == "logits"
        self.enlarged_to = sidecar.output.enlarged_to

    def head_logits(self, images: Sequence[np.ndarray], pad_to: Size | None = None) -> np.ndarray:
        """Logits (B, K, h, w), float32; class ids become 1 and 0.

        Images that are smaller than the only size of an artefact are padded with the mean colour at the right and at
        the bottom; the logits then have the size of the images.

        Args:
            images: uint8 (H, W, C) of equal size.
            pad_to: (height, width) to which they are at least padded; the logits cover the padding too.

        Raises:
            CheckpointError: K464, the artefact takes only smaller images; K463, the runtime fails.
        """
        height, width = images[0].shape[:2]
        if pad_to is None and self.takes_bytes((height, width)):
            return self._logits_of(np.stack(images))
        inputs = self._normalized(np.stack(images))
        if pad_to is not None:
            height, width = max(height, pad_to[0]), max(width, pad_to[1])
            inputs = _padded(inputs, (height, width))
        fixed = self.fixed_size
        if fixed is None or (height, width) == fixed:
            return self._logits_of(self._as_described(inputs))
        self.refuse_larger((height, width), fixed)
        logits = self._logits_of(self._as_described(_padded(inputs, fixed)))
        if logits.shape[-2:] != fixed:
            logits = resized(logits, fixed, self.align_corners)
        return logits[..., :height, :width]

    def _normalized(self, images: np.ndarray) -> np.ndarray:
        """`(images / 255 - mean) / std` of uint8 (B, H, W, C): float32 (B, C, H, W)."""
        found = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
        found /= np.float32(255)
        for channel, (mean, std) in enumerate(zip(self.preprocessing.mean, self.preprocessing.std, strict=True)):
            found[:, channel] -= np.float32(mean)
            found[:, channel] /= np.float32(std)
        return found

    def _as_described(self, images: np.ndarray) -> np.ndarray:
        """Normalised images (B, C, H, W), or the bytes (B, H, W, C) that they were, as the artefact takes them."""
        if self.sidecar.input.dtype != "uint8":
            return images
        mean, std = (
            np.array(values, np.float32)[:, None, None] for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        unit = images * std + mean
        return np.rint(unit * np.float32(255)).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)

    def _logits_of(self, inputs: np.ndarray) -> np.ndarray:
        outputs = self.checked(inputs)
        if self.gives_scores:
            return outputs
        class_ids = np.arange(self.num_classes, dtype=outputs.dtype)[:, None, None]
        return (outputs[:, None] == class_ids).astype(np.float32)


def _padded(images: np.ndarray, size: Size) -> np.ndarray:
    """Images (B, C, H, W) with zeros at the right and at the bottom, up to (height, width)."""
    height, width = images.shape[-2:]
    return np.pad(images, ((0, 0), (0, 0), (0, size[0] - height), (0, size[1] - width)))
