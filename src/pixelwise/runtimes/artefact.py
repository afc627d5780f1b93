"""Exported artefacts that evaluate and predict like the network that they were exported from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models.base import SegmentationModel
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.reading import read_sidecar
from pixelwise.runtimes.sidecar import Sidecar
from pixelwise.runtimes.targets import Engine, Target, find_target
from pixelwise.storage import printable

T = TypeVar("T")


class ArtefactModel(SegmentationModel):
    """Wraps an artefact in the interface of a network, so that evaluation and prediction treat both alike.

    Args:
        sidecar: Description of the artefact, from `model.toml`.
        engine: Function that runs the artefact.
        path: The artefact's file, for error messages.

    Attributes:
        sidecar: Description of the artefact, from `model.toml`.
    """

    def __init__(self, sidecar: Sidecar, engine: Engine, path: Path) -> None:
        # The graph is the network: its family, which another package may define, is not needed to run it.
        super().__init__(Spec(preprocessing=sidecar.preprocessing), sidecar.classes)
        self.sidecar = sidecar
        self.multilabel = sidecar.multilabel
        self.align_corners = sidecar.output.align_corners
        self.fixed_size = sidecar.input.size
        self.scores = sidecar.output.scores
        self.gives_scores = sidecar.output.name == "logits"
        self.enlarged_to = sidecar.output.enlarged_to
        self._engine = engine
        self._path = path
        self._shared: dict[int, ArtefactModel] = {}
        # Shows callers the device of the inputs, as a network's parameters do: these runtimes compute on the CPU.
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)

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

    def takes_bytes(self, size: Size) -> bool:
        """Whether the artefact takes images uint8 (B, H, W, C) of that (height, width) as they are.

        Args:
            size: (height, width) of the images.
        """
        return self.sidecar.input.dtype == "uint8" and self.fixed_size in (None, size)

    def logits_of(self, inputs: np.ndarray) -> Tensor:
        """The artefact's logits (B, K, h, w) on the CPU; class ids are returned as one-hot values.

        Args:
            inputs: Array as described by `sidecar.input`, but with any number of images.

        Raises:
            CheckpointError: K463, the runtime fails.
        """
        found = self.run(inputs)
        rows = 1 if self.sidecar.input.layout == "NHWC" else 2
        self._refuse_other_output(found, (inputs.shape[rows], inputs.shape[rows + 1]))
        outputs = torch.from_numpy(found)
        if self.gives_scores:
            return outputs
        # A comparison takes two thirds of the time of `one_hot`, and its result is contiguous.
        class_ids = torch.arange(self.num_classes, dtype=outputs.dtype)[:, None, None]
        return (outputs[:, None] == class_ids).float()

    def _padded(self, images: Tensor, size: Size, fixed: Size) -> Tensor:
        """Logits (B, K, H, W) of images (B, C, H, W) that are smaller than the artefact's only size."""
        if any(side > only for side, only in zip(size, fixed, strict=True)):
            raise CheckpointError(
                "K464",
                f"{self._path.name} takes only images of {fixed[1]}x{fixed[0]}, not {size[1]}x{size[0]} (width x "
                "height)",
                f"export it again with `dynamic`, or with `size` {size[1]}x{size[0]}",
            )
        (logits,) = self.head_logits(F.pad(images, (0, fixed[1] - size[1], 0, fixed[0] - size[0])))
        if logits.shape[-2:] != fixed:
            logits = F.interpolate(logits, size=fixed, mode="bilinear", align_corners=self.align_corners)
        return logits[..., : size[0], : size[1]]

    def _refuse_other_output(self, found: np.ndarray, size: Size) -> None:
        """Refuse an output that is not what the description says, which would become wrong masks.

        Raises:
            CheckpointError: K463, its shape is another one, or a class id does not exist.
        """
        sides = tuple(-(-side // self.sidecar.output.stride) for side in size)
        expected = (self.num_classes, *sides) if self.gives_scores else sides
        if found.shape[1:] != expected:
            raise self.failure(f"returns shape {found.shape}, but its description says {('N', *expected)}")
        if not self.gives_scores and found.size and not 0 <= int(found.min()) <= int(found.max()) < self.num_classes:
            raise self.failure(
                f"returns class id {int(found.max())}, but its description has {self.num_classes} classes"
            )

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Run the artefact on any number of images.

        Args:
            inputs: Array as described by `sidecar.input`, but with any number of images.

        Returns:
            Array as described by `sidecar.output`.

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
        """Error K463 for an artefact whose runtime fails.

        Args:
            what: What the runtime does, such as `fails on an input of (1, 3, 2, 3)`.
        """
        return CheckpointError(
            "K463",
            f"{printable(self._path)}: {self.sidecar.runtime} {what}",
            "export it again; if that does not help, export it for one image size (without `dynamic`)",
        )

    def for_threads(self, count: int) -> ArtefactModel | None:
        """The artefact for so many threads that run it at the same time and compute with one thread each.

        Returns:
            The artefact, opened another time unless it was for an earlier call; None if its runtime cannot do this.

        Raises:
            CheckpointError: K463, the runtime cannot open the file.
        """
        again = find_target(self.sidecar.runtime).open_for_threads
        if again is None:
            return None
        if count not in self._shared:
            engine = _opened(self.sidecar.runtime, self._path, again, count)
            self._shared[count] = ArtefactModel(self.sidecar, engine, self._path).eval()
        return self._shared[count]

    def _bytes(self, images: Tensor) -> Tensor:
        """Undo the normalisation: images (B, 3, H, W) to the original uint8 (B, H, W, 3)."""
        mean, std = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        unit = images.float() * std + mean
        return unit.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def load_artefact(path: Path, threads: int | None = None, *, trust: bool = False) -> ArtefactModel:
    """Open an artefact.

    Args:
        path: The artefact's folder, or its file that the runtime opens.
        threads: Threads per call; None: the runtime's default, limited to the cores that the process may use
            (`torch.export` programs use PyTorch's threads).
        trust: Whether whoever made the artefact may run code here, which files of some formats do when they are
            opened.

    Raises:
        CheckpointError: K462, one of its files is missing or has changed; K463, the runtime cannot open it;
            K469, no installed package has its target; K470, it describes itself in two ways; K471, opening it could
            run code; K472, it reaches outside its own folder or runs code of its own.
        RecipeError: R240, the runtime is not installed.
    """
    sidecar, file = read_sidecar(path)
    target = find_target(sidecar.runtime)
    if target.runs_code and not trust:
        raise CheckpointError(
            "K471",
            f"{printable(file)} is not opened, because opening it can run code of whoever made it: {target.runs_code}",
            "if it is yours, or you trust who made it, set `trust`; an ONNX or OpenVINO artefact never runs code",
        )
    _refuse_unsafe(target, file, sidecar)
    return ArtefactModel(sidecar, open_engine(sidecar.runtime, file, threads), file).eval()


def _refuse_unsafe(target: Target, file: Path, sidecar: Sidecar) -> None:
    """Refuse a file that reaches outside its folder, or that runs what no export writes."""
    problem = target.check(file, tuple(sidecar.files)) if target.check is not None else ""
    if problem:
        raise CheckpointError(
            "K472",
            f"{printable(file)} is not opened: {problem}",
            "do not use it, unless its maker explains this; export the run again to get an artefact without it",
        )


def open_engine(target: str, file: Path, threads: int | None = None) -> Engine:
    """Open a file with the runtime of a target.

    Args:
        target: Name of the export target.
        file: The artefact's file that the runtime opens.
        threads: Threads per call; None: the runtime's default.

    Raises:
        RecipeError: R240, the runtime is not installed; R250, there is no such target.
        CheckpointError: K463, the runtime cannot open the file.
    """
    return _opened(target, file, find_target(target).open, threads)


def _opened(target: str, file: Path, opening: Callable[[Path, T], Engine], threads: T) -> Engine:
    try:
        return opening(file, threads)
    except (CheckpointError, RecipeError):
        raise
    except Exception as error:  # every runtime has exceptions of its own
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise CheckpointError(
            "K463",
            f"{printable(file)}: {target} cannot open it: {reason}",
            "it was written by a newer version of the runtime, or some of its files are missing: export it again",
        ) from error
