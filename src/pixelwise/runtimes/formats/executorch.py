"""`.pte`: a graph lowered for ExecuTorch with XNNPACK's kernels, for phones and embedded boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pixelwise.runtimes.packages import require
from pixelwise.runtimes.targets import Engine, Target, register_target

if TYPE_CHECKING:
    from pixelwise.runtimes.graphs import ExportedNetwork

INSTALL = "pixelwise[edge]"


def write(network: ExportedNetwork, folder: Path) -> list[Path]:
    """Lower the graph of `torch.export` and write the program."""
    partitioners = require("executorch.backends.xnnpack.partition.xnnpack_partitioner", "exporting", INSTALL)
    lowering = require("executorch.exir", "exporting to executorch", INSTALL)
    program = network.program()
    network.tell("lowering the graph for executorch")
    lowered = lowering.to_edge_transform_and_lower(program, partitioner=[partitioners.XnnpackPartitioner()])
    file = folder / "model.pte"
    file.write_bytes(lowered.to_executorch().buffer)
    return [file]


def open_engine(file: Path, threads: int | None) -> Engine:
    """Load the program; the runtime chooses its number of threads itself and ignores `threads`."""
    runtime = require("executorch.runtime", "running an ExecuTorch file", INSTALL)
    import torch

    # The program must be kept alive as long as its method is in use.
    program = runtime.Runtime.get().load_program(file)
    method = program.load_method("forward")
    return lambda images: method.execute([torch.from_numpy(images)])[0].numpy()


TARGET = register_target(
    Target(
        name="executorch",
        label="ExecuTorch",
        summary="ExecuTorch, on phones and embedded boards",
        suffixes=(".pte",),
        write=write,
        open=open_engine,
        packages=("executorch.exir",),
        install=INSTALL,
        # ExecuTorch plans its memory ahead of time.
        any_size=False,
        schemes=("xnnpack-8bit",),
        marker="D",
    )
)
