"""`.xml` and `.bin`: an ONNX graph converted for OpenVINO."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

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

    openvino = require("openvino", "running an OpenVINO file")
    core = openvino.Core()
    # Without the hint, processors with bfloat16 units would compute in bfloat16.
    settings: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32"}
    # The runtime itself respects an affinity mask, but not a container's CPU quota.
    if (limited := threads or core_limit()) is not None:
        settings["INFERENCE_NUM_THREADS"] = limited
    compiled = core.compile_model(str(file), "CPU", settings)
    # Copied, because the next call overwrites the runtime's own array.
    return lambda images: np.array(compiled(images)[0])


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
        check=check,
        packages=("onnx", "onnxscript", "openvino"),
        install=EXPORT,
        quantizer="pixelwise.deployment.int8.openvino:QUANTIZER",
        marker="^",
    )
)
