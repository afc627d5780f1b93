"""`.pt2`: the graph of `torch.export` itself, run by PyTorch without the network's source code."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from pixelwise.runtimes.packages import TRAIN, require
from pixelwise.runtimes.safety import pt2_problem
from pixelwise.runtimes.targets import Engine, Target, register_target

if TYPE_CHECKING:
    import numpy as np

    from pixelwise.runtimes.graphs import ExportedNetwork


def write(network: ExportedNetwork, folder: Path) -> list[Path]:
    """Save the graph."""
    import torch

    file = folder / "model.pt2"
    torch.export.save(network.program(), file)
    return [file]


def open_engine(file: Path, threads: int | None) -> Engine:
    """Load the graph; it uses PyTorch's threads."""
    import torch

    # The guards describe the traced example, even that its sizes are odd or even, not what the graph can do;
    # the graph was verified at other sizes when it was exported.
    module = torch.export.load(file).module(check_guards=False)

    def run(images: np.ndarray) -> np.ndarray:
        before = torch.get_num_threads()
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                return module(torch.from_numpy(images)).numpy()
        finally:
            torch.set_num_threads(before)

    return run


def check(file: Path, listed: Collection[str]) -> str:
    """What is wrong with the members of the archive; empty if they are graphs and tensors alone."""
    require("torch", "running a torch.export artefact", TRAIN)
    return pt2_problem(file)


TARGET = register_target(
    Target(
        name="torch-export",
        label="torch.export",
        summary="PyTorch, without the network's source code",
        suffixes=(".pt2",),
        write=write,
        open=open_engine,
        check=check,
        runs_code="PyTorch unpickles parts of such a file, and a graph can name any function of PyTorch",
        marker="P",
    )
)
