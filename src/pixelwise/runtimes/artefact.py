"""An artefact that is evaluated and predicts as the network that it was exported from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models.base import SegmentationModel
from pixelwise.runtimes.reading import read_sidecar
from pixelwise.runtimes.sidecar import Sidecar
from pixelwise.runtimes.targets import Engine, find_target
from pixelwise.storage import printable


class ArtefactModel(SegmentationModel):
    """The interface of a network around an artefact: evaluation and prediction cannot tell the difference.

    Args:
        sidecar: The artefact's description.
        engine: The function that runs it.
        path: The artefact's file, which errors name.

    Attributes:
        sidecar: The artefact's description.
    """

    def __init__(self, sidecar: Sidecar, engine: Engine, path: Path) -> None:
        recipe = sidecar.resolved_recipe(path)
        super().__init__(recipe.model, sidecar.classes)
        self.sidecar = sidecar
        self.multilabel = recipe.data.multilabel
        self.align_corners = sidecar.output.align_corners
        self.fixed_size = sidecar.input.size
        self.gives_scores = sidecar.output.name == "logits"
        self._engine = engine
        self._path = path
        # Says where inputs are expected, as the parameters of a network do: the runtimes here compute on the CPU.
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The artefact's logits (B, K, h, w), alone; of one that gives class ids, 1 for the class and 0 for the others.

        Raises:
            CheckpointError: K464, it takes images of another size; K463, the runtime fails.
        """
        size = (images.shape[-2], images.shape[-1])
        if self.fixed_size is not None and size != self.fixed_size:
            wanted = f"{self.fixed_size[1]}x{self.fixed_size[0]}"
            raise CheckpointError(
                "K464",
                f"{self._path.name} takes images of {wanted} only (width x height), not {size[1]}x{size[0]}",
                f"export it again: pixelwise export RUN --dynamic, or --size {size[1]}x{size[0]}",
            )
        inputs = self._bytes(images) if self.sidecar.input.dtype == "uint8" else images.float()
        outputs = torch.from_numpy(self.run(inputs.cpu().contiguous().numpy())).to(images.device)
        if self.gives_scores:
            return (outputs,)
        return (F.one_hot(outputs.long(), self.num_classes).permute(0, 3, 1, 2).float(),)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """The artefact itself, on any number of images.

        Args:
            inputs: An array as `sidecar.input` says, but of any number of images.

        Returns:
            An array as `sidecar.output` says.

        Raises:
            CheckpointError: K463, the runtime fails.
        """
        batch = self.sidecar.input.batch or len(inputs)
        try:
            parts = [
                self._engine(np.ascontiguousarray(inputs[first : first + batch]))
                for first in range(0, len(inputs), batch)
            ]
        except Exception as error:  # every runtime has exceptions of its own
            reason = str(error).strip().partition("\n")[0]
            raise self.failure(f"fails on an input of {inputs.shape}: {reason}") from error
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def failure(self, what: str) -> CheckpointError:
        """The error for an artefact that does not do what it was made for."""
        return CheckpointError(
            "K463",
            f"{printable(self._path)}: {self.sidecar.runtime} {what}",
            "export it again; if that does not help, for one size of images",
        )

    def _bytes(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) back as the uint8 (B, H, W, 3) that they were."""
        mean, std = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        unit = images.float() * std + mean
        return unit.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def load_artefact(path: Path, threads: int | None = None) -> ArtefactModel:
    """Open an artefact.

    Args:
        path: The artefact's folder, or the file of it that a runtime opens.
        threads: Threads per call; None: as many as the runtime likes, within the cores that the process may use
            (PyTorch's programs use PyTorch's threads).

    Raises:
        CheckpointError: K462, a file of it is missing or differs from what was written; K463, the runtime refuses it;
            K469, nothing that is installed runs it.
        RecipeError: R240, the runtime is not installed.
    """
    sidecar, file = read_sidecar(path)
    return ArtefactModel(sidecar, open_engine(sidecar.runtime, file, threads), file).eval()


def open_engine(target: str, file: Path, threads: int | None = None) -> Engine:
    """Let the runtime of a target open a file.

    Args:
        target: Name of the target.
        file: The artefact's file that the runtime opens.
        threads: Threads per call; None: as many as the runtime likes.

    Raises:
        RecipeError: R240, the runtime is not installed; R250, there is no such target.
        CheckpointError: K463, the runtime refuses the file.
    """
    opened = find_target(target)
    try:
        return opened.open(file, threads)
    except (CheckpointError, RecipeError):
        raise
    except Exception as error:  # every runtime has exceptions of its own
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise CheckpointError(
            "K463",
            f"{printable(file)}: {target} refuses it: {reason}",
            "it was made by a newer version of the runtime, or files that belong to it are missing: export it again",
        ) from error
