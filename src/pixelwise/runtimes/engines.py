"""Files of four formats as functions from array to array."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.machine.threads import core_limit
from pixelwise.runtimes.sidecar import Runtime
from pixelwise.storage import printable
from pixelwise.telemetry import switch_off_openvino

Engine = Callable[[np.ndarray], np.ndarray]
"""The input of an artefact, contiguous, to its output."""

EXTRAS = {
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "export",
    "openvino": "export",
    "nncf": "export",
    "executorch": "edge",
}
"""Package -> extra of pixelwise that brings it."""


def require(package: str, purpose: str) -> ModuleType:
    """Import a package of an extra, with its telemetry switched off.

    Args:
        package: Its name.
        purpose: What needs it, for the error.

    Raises:
        RecipeError: R240, it is not installed, or something that it needs itself.
    """
    root = package.partition(".")[0]
    if root in ("openvino", "nncf"):
        switch_off_openvino()
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        through = "" if missing in ("", root) else f", which needs {missing}"
        raise RecipeError(
            "R240",
            f"{purpose} needs the package {root}{through}, which is not installed",
            f"install it: pip install 'pixelwise[{EXTRAS[root]}]'",
        ) from error


def open_engine(runtime: Runtime, file: Path, threads: int | None = None) -> Engine:
    """Load an artefact.

    Args:
        runtime: Its format.
        file: The one that is opened: `.onnx`, `.xml`, `.pt2` or `.pte`.
        threads: For one call; None: as many as the runtime likes, within the cores that the process may use
            (PyTorch's programs use PyTorch's threads).

    Raises:
        RecipeError: R240, the runtime is not installed.
        CheckpointError: K463, it refuses the file.
    """
    opener = {
        "onnx": _onnx,
        "openvino": _openvino,
        "torch-export": _torch_export,
        "executorch": _executorch,
    }[runtime]
    try:
        return opener(file, threads)
    except (CheckpointError, RecipeError):
        raise
    except Exception as error:  # every runtime has exceptions of its own
        raise _refused(runtime, file, error) from error


def _refused(runtime: str, file: Path, error: Exception) -> CheckpointError:
    reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
    return CheckpointError(
        "K463",
        f"{printable(file)}: {runtime} refuses it: {reason}",
        "it was made by a newer version of the runtime, or files that belong to it are missing: export it again",
    )


def _onnx(file: Path, threads: int | None) -> Engine:
    runtime = require("onnxruntime", "running an ONNX file")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    # The runtime itself heeds neither an affinity mask nor a container's quota.
    if (limited := threads or core_limit()) is not None:
        options.intra_op_num_threads = limited
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _openvino(file: Path, threads: int | None) -> Engine:
    openvino = require("openvino", "running an OpenVINO file")
    core = openvino.Core()
    # Without the hint, processors with bfloat16 units would compute in it.
    settings: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32"}
    # The runtime itself heeds an affinity mask, but no container's quota.
    if (limited := threads or core_limit()) is not None:
        settings["INFERENCE_NUM_THREADS"] = limited
    compiled = core.compile_model(str(file), "CPU", settings)
    # The next call overwrites the runtime's own array.
    return lambda images: np.array(compiled(images)[0])


def _torch_export(file: Path, threads: int | None) -> Engine:
    import torch

    # The guards describe the example that was traced, oddness of its sizes included, not what the graph can do;
    # that it is right at other sizes was verified when it was exported.
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


def _executorch(file: Path, threads: int | None) -> Engine:
    runtime = require("executorch.runtime", "running an ExecuTorch file")
    import torch

    # The method dies with its program.
    program = runtime.Runtime.get().load_program(file)
    method = program.load_method("forward")
    return lambda images: method.execute([torch.from_numpy(images)])[0].numpy()
