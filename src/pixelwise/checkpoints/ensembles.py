"""Several trained networks as one: the average of their probabilities.

The networks of a cross-validation have one recipe and were trained on different parts of the same images. What they
say of an image is averaged (Lakshminarayanan et al., NeurIPS 2017, arXiv:1612.01474, section 2.4).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.errors import CheckpointError
from pixelwise.layers.precision import at_least_float32
from pixelwise.models import SegmentationModel
from pixelwise.models.preprocessing import renormalisation
from pixelwise.models.probabilities import NOTHING, probabilities
from pixelwise.observer import Warn
from pixelwise.records.folds.cross_validation import FoldRuns, is_cross_validation, read_cross_validation
from pixelwise.storage import printable, sha256_bytes

_LEAST = 1e-6
"""Probability of a class by itself below which, and above 1 minus which, averages do not go."""


class Ensemble(SegmentationModel):
    """Networks with the same classes, whose probabilities are averaged.

    The outputs are logits: the logarithm of the average (its logit, if a pixel may have several classes), at the size
    of the first network's logits. So an ensemble of equal networks decides as each of them, whatever enlarges them.

    Args:
        networks: The networks, at least one, in evaluation mode. Images are normalised as for the first one.
    """

    def __init__(self, networks: Sequence[SegmentationModel]) -> None:
        first = networks[0]
        super().__init__(first.spec, first.classes)
        self.networks = nn.ModuleList(networks)
        self._in_order = tuple(networks)  # with the types that a list of modules forgets
        self.multilabel, self.align_corners = first.multilabel, first.align_corners
        self.preprocessing, self.boundary_head = first.preprocessing, False
        self.traced_size = first.traced_size

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The averaged main logits (B, K, h, w), alone; see `SegmentationModel.head_logits`."""
        total: Tensor | None = None
        for network in self._in_order:
            scale, shift = renormalisation(self.preprocessing, network.preprocessing, images.device)
            seen = images if scale is None or shift is None else images * scale + shift
            logits = at_least_float32(network.head_logits(seen)[0])
            if total is not None and logits.shape != total.shape:
                size = total.shape[-2:]
                logits = F.interpolate(logits, size, mode="bilinear", align_corners=network.align_corners)
            said = probabilities(logits, network.scores, multilabel=self.multilabel, dim=1)
            total = said if total is None else total + said
        if total is None:
            raise AssertionError("an ensemble has at least one network")
        mean = total / len(self.networks)
        return (mean.logit(_LEAST) if self.multilabel else mean.clamp(min=NOTHING).log(),)


class Trained(NamedTuple):
    """A network that predicts, and where it comes from.

    Attributes:
        model: The network, in evaluation mode on the CPU.
        one: The trained network; of an ensemble, the first one.
        run: Its folder.
        weights_sha256: SHA-256 of the weights; of an ensemble, of the hashes of all.
    """

    model: SegmentationModel
    one: TrainedModel
    run: Path
    weights_sha256: str

    @property
    def is_ensemble(self) -> bool:
        """Whether several networks predict."""
        return isinstance(self.model, Ensemble)


def load_network(run: Path, warn: Warn | None = None) -> Trained:
    """The network of a run, or the ensemble of the networks of a cross-validation.

    Args:
        run: Folder of a run or of a cross-validation.
        warn: Receives warnings about damaged checkpoints and implausible values.

    Raises:
        CheckpointError: As `load_trained`; K421, a fold has not been trained to its end.
        RecipeError: As `load_trained`.
    """
    if not is_cross_validation(run):
        trained = load_trained(run, warn)
        return Trained(trained.model, trained, run, trained.weights_sha256)
    folds = FoldRuns(run, read_cross_validation(run))
    done = [fold for fold in folds.names if folds.is_finished(fold)]
    open_ones = [fold for fold in folds.names if fold not in done]
    if open_ones:
        alone = f"; a single fold predicts alone: {printable(folds.folder(done[0]))}" if done else ""
        raise CheckpointError(
            "K421",
            f"{printable(run)}: {', '.join(open_ones)} of its {len(folds.names)} folds "
            f"{'is' if len(open_ones) == 1 else 'are'} not finished",
            f"continue with: pixelwise resume {shlex.quote(printable(run))}{alone}",
        )
    found = [load_trained(folds.folder(fold), warn) for fold in folds.names]
    joint = sha256_bytes("\n".join(one.weights_sha256 for one in found).encode())
    return Trained(Ensemble([one.model for one in found]).eval(), found[0], folds.folder(folds.names[0]), joint)
