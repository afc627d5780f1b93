"""`.xml` and `.bin`: an ONNX graph converted for OpenVINO."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelwise.machine.threads import core_limit
from pixelwise.runtimes.formats import onnx
from pixelwise.runtimes.packages import EXPORT, require
from pixelwise.runtimes.targets import Engine, Target, register_target

if TYPE_CHECKING:
    from pixelwise.runtimes.graphs import ExportedNetwork


def write(network: ExportedNetwork, folder: Path) -> list[Path]:
    """Write the ONNX graph and convert it."""
    openvino = require("openvino", "exporting to openvino")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as between:
        (source,) = onnx.write(network, Path(between))
        network.tell("translating the graph to openvino")
        converted = openvino.convert_model(source)
        file = folder / "model.xml"
        # By default the weights would be compressed to float16.
        openvino.save_model(converted, file, compress_to_fp16=False)
    return [file, file.with_suffix(".bin")]


def open_engine(file: Path, threads: int | None) -> Engine:
    """Compile the model for the CPU, in float32."""
    import numpy as np

    # The runtime itself respects an affinity mask, but not a container's CPU quota.
    limited = threads or core_limit()
    compiled = _compiled(file, {} if limited is None else {"INFERENCE_NUM_THREADS": limited})
    # Copied, because the next call overwrites the runtime's own array.
    return lambda images: np.array(compiled(images)[0])


def open_for_threads(file: Path, count: int) -> Engine:
    """Compile the model for `count` callers at a time, each of which gets a core."""
    import numpy as np

    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": str(count), "INFERENCE_NUM_THREADS": count}
    compiled = _compiled(file, settings)
    own = threading.local()

    def run(images: np.ndarray) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        return np.array(own.request.infer(images)[0])

    return run


def _compiled(file: Path, settings: dict[str, str | int | bool]) -> Any:
    """The model compiled for the CPU, in float32: by default, processors with bfloat16 units compute in bfloat16.

    By default, too, its threads are bound to the first cores, so that several processes share these while others idle.
    """
    openvino = require("openvino", "running an OpenVINO file")
    fixed = {"INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
    return openvino.Core().compile_model(str(file), "CPU", fixed | settings)


def check(file: Path, listed: Collection[str]) -> str:
    """What is wrong with the graph; empty if it is OpenVINO's own format.

    OpenVINO chooses the reader by the content, and an ONNX graph under this name could name files of this machine.
    """
    with file.open("rb") as opened:
        return "" if opened.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else "it is not an XML file"


TARGET = register_target(
    Target(
        name="openvino",
        label="OpenVINO",
        summary="OpenVINO, on Intel processors",
        suffixes=(".xml", ".bin"),
        write=write,
        open=open_engine,
        open_for_threads=open_for_threads,
        check=check,
        packages=("onnx", "onnxscript", "openvino"),
        install=EXPORT,
        quantizer="pixelwise.deployment.int8.openvino:QUANTIZER",
        marker="^",
    )
)
