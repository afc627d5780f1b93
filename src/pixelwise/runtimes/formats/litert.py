"""`.tflite`: a graph for LiteRT, which TensorFlow Lite has become, on phones, boards and microprocessors."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelwise.machine.console import without_native_stderr
from pixelwise.machine.threads import usable_cores
from pixelwise.runtimes.packages import require
from pixelwise.runtimes.targets import Engine, Target, register_target

if TYPE_CHECKING:
    import numpy as np

    from pixelwise.runtimes.graphs import ExportedNetwork

INSTALL = "pixelwise[litert]"
IDENTIFIER = slice(4, 8)
"""Where a FlatBuffers file says what it is."""


def write(network: ExportedNetwork, folder: Path) -> list[Path]:
    """Translate the graph of `torch.export` and write it."""
    converter = require("litert_torch", "exporting to litert", INSTALL)
    # Otherwise it prints each of its steps to standard output.
    converter.config.show_progress = False
    import torch

    from pixelwise.runtimes.rewriting import DECOMPOSITIONS

    class Named(torch.nn.Module):
        """The graph with the name of its output, which the file's signature shows."""

        def __init__(self, captured: torch.nn.Module, output: str) -> None:
            super().__init__()
            # Captured again, a child of the name `graph` would hide the graph itself.
            self.captured, self.output = captured, output

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {self.output: self.captured(images)}

    captured = network.program().run_decompositions(DECOMPOSITIONS).module(check_guards=False)
    network.tell("translating the graph to litert")
    facts, example = network.input_facts(), network.options.example(len(network.model.preprocessing.mean), (0, 0))
    named = Named(captured, network.output_facts().name)
    named.training = False  # what was captured cannot be put into evaluation mode, in which it is
    file = folder / "model.tflite"
    file.write_bytes(converter.convert(named, sample_kwargs={facts.name: example}).model_content())
    return [file]


def open_engine(file: Path, threads: int | None) -> Engine:
    """Load the graph for the CPU."""
    # By default the runtime computes with one thread.
    return _engine(_opened(file, threads or usable_cores()))


def open_for_threads(file: Path, count: int) -> Engine:
    """Load the graph once per thread of the caller, each of which computes alone: an interpreter has one input."""
    own = threading.local()
    _opened(file, 1)  # a file that cannot be opened is found here

    def run(images: np.ndarray) -> np.ndarray:
        if not hasattr(own, "engine"):
            own.engine = _engine(_opened(file, 1))
        return own.engine(images)

    return run


def _opened(file: Path, threads: int) -> Any:
    runtime = require("ai_edge_litert.interpreter", "running a LiteRT file", INSTALL)
    with without_native_stderr():  # it announces which kernels it chose
        interpreter = runtime.Interpreter(model_path=str(file), num_threads=threads)
        interpreter.allocate_tensors()
    return interpreter


def _engine(interpreter: Any) -> Engine:
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(images: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(given["index"], images)
        interpreter.invoke()
        # A copy: the next call overwrites the runtime's own array.
        return interpreter.get_tensor(found["index"])

    return run


def check(file: Path, listed: Collection[str]) -> str:
    """What is wrong with the file; empty if it is a FlatBuffers file of this format."""
    with file.open("rb") as opened:
        return "" if opened.read(IDENTIFIER.stop)[IDENTIFIER] == b"TFL3" else "it is not a LiteRT file"


TARGET = register_target(
    Target(
        name="litert",
        label="LiteRT",
        summary="LiteRT, formerly TensorFlow Lite, on phones and boards",
        suffixes=(".tflite",),
        write=write,
        open=open_engine,
        open_for_threads=open_for_threads,
        check=check,
        packages=("litert_torch", "ai_edge_litert.interpreter"),
        install=INSTALL,
        # The converter refuses graphs whose sizes are open.
        any_size=False,
        marker="v",
    )
)
