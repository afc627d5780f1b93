"""Exported artefacts that are open: their description, and the runtime that computes; without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from pixelwise.errors import CheckpointError, RecipeError, without_pytorch
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.reading import read_sidecar
from pixelwise.runtimes.sidecar import Sidecar
from pixelwise.runtimes.targets import Engine, Target, find_target
from pixelwise.storage import printable

T = TypeVar("T")
Kind = TypeVar("Kind", bound="Artefact")


class Artefact:
    """An artefact with its runtime; what it computes with, PyTorch or arrays, is up to who extends it.

    Args:
        sidecar: Description of the artefact, from `model.toml`.
        engine: Function that runs the artefact.
        path: The artefact's file, for error messages.

    Attributes:
        sidecar: Description of the artefact, from `model.toml`.
    """

    def __init__(self, sidecar: Sidecar, engine: Engine, path: Path) -> None:
        self.sidecar = sidecar
        self._engine = engine
        self._path = path
        self._shared: dict[int, Self] = {}

    def takes_bytes(self, size: Size) -> bool:
        """Whether the artefact takes images uint8 (B, H, W, C) of that (height, width) as they are.

        Args:
            size: (height, width) of the images.
        """
        return self.sidecar.input.dtype == "uint8" and self.sidecar.input.size in (None, size)

    def checked(self, inputs: np.ndarray) -> np.ndarray:
        """The artefact's output, if it is what the description says; another one would become wrong masks.

        Args:
            inputs: Array as described by `sidecar.input`, but with any number of images.

        Returns:
            Array as described by `sidecar.output`.

        Raises:
            CheckpointError: K463, the runtime fails, the shape is another one, or a class id does not exist.
        """
        found = self.run(inputs)
        rows = 1 if self.sidecar.input.layout == "NHWC" else 2
        sides = tuple(-(-side // self.sidecar.output.stride) for side in inputs.shape[rows : rows + 2])
        classes, ids = len(self.sidecar.classes), self.sidecar.output.name != "logits"
        expected = sides if ids else (classes, *sides)
        if found.shape[1:] != expected:
            raise self.failure(f"returns shape {found.shape}, but its description says {('N', *expected)}")
        if ids and found.size and not 0 <= int(found.min()) <= int(found.max()) < classes:
            raise self.failure(f"returns class id {int(found.max())}, but its description has {classes} classes")
        return found

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

    def refuse_larger(self, size: Size, fixed: Size) -> None:
        """Refuse images that do not fit into an artefact's only size.

        Args:
            size: (height, width) of the images.
            fixed: (height, width) of the artefact's input.

        Raises:
            CheckpointError: K464, a side is longer.
        """
        if any(side > only for side, only in zip(size, fixed, strict=True)):
            raise CheckpointError(
                "K464",
                f"{self._path.name} takes only images of {fixed[1]}x{fixed[0]}, not {size[1]}x{size[0]} (width x "
                "height)",
                f"export it again with `dynamic`, or with `size` {size[1]}x{size[0]}",
            )

    def for_threads(self, count: int) -> Self | None:
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
            self._shared[count] = type(self)(self.sidecar, engine, self._path)
        return self._shared[count]


def open_artefact(path: Path, kind: type[Kind], threads: int | None = None, *, trust: bool = False) -> Kind:
    """Open an artefact.

    Args:
        path: The artefact's folder, or its file that the runtime opens.
        kind: What computes around its runtime.
        threads: Threads per call; None: the runtime's default, limited to the cores that the process may use
            (`torch.export` programs use PyTorch's threads).
        trust: Whether whoever made the artefact may run code here, which files of some formats do when they are
            opened.

    Raises:
        CheckpointError: K462, one of its files is missing or has changed; K463, the runtime cannot open it;
            K469, no installed package has its target; K470, it describes itself in two ways; K471, opening it could
            run code; K472, it reaches outside its own folder or runs code of its own; K473, its runtime is for other
            systems.
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
    if refusal := target.refusal():
        raise CheckpointError(
            "K473",
            f"{printable(file)} cannot be run here: {refusal}",
            "run it there; for this machine, export the network to another format, such as onnx",
        )
    _refuse_unsafe(target, file, sidecar)
    return kind(sidecar, open_engine(sidecar.runtime, file, threads), file)


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
    except ModuleNotFoundError as error:
        raise without_pytorch(error, f"running {printable(file)}") or _not_opened(target, file, error) from error
    except Exception as error:  # every runtime has exceptions of its own
        raise _not_opened(target, file, error) from error


def _not_opened(target: str, file: Path, error: Exception) -> CheckpointError:
    reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
    return CheckpointError(
        "K463",
        f"{printable(file)}: {target} cannot open it: {reason}",
        "it was written by a newer version of the runtime, or some of its files are missing: export it again",
    )
