"""`.mlpackage`: a graph for Core ML, the runtime of macOS and iOS, which runs on Apple's systems alone."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pixelwise.machine.facts import is_macos
from pixelwise.runtimes.packages import require
from pixelwise.runtimes.targets import Engine, Target, register_target
from pixelwise.storage import printable
from pixelwise.storage.names import is_plain_name

if TYPE_CHECKING:
    import numpy as np

    from pixelwise.runtimes.graphs import ExportedNetwork

INSTALL = "pixelwise[coreml]"
MANIFEST = "Manifest.json"
CONTENT = "Data"
"""Folder of a package to which the paths of its manifest refer."""
WITHIN = "@model_path/"
"""How the graph names the folder that it is in, before the names of files with weights."""
EXTRA = "executorch_debug_handle_mapping.json"
"""File of the converter for debugging, which no runtime reads."""


def write(network: ExportedNetwork, folder: Path) -> list[Path]:
    """Translate the graph of `torch.export`, in float32, and write it."""
    from pixelwise.runtimes.rewriting import DECOMPOSITIONS, OF_BOOLS

    tools = require("coremltools", "exporting to coreml", INSTALL)
    _teach(require("coremltools.converters.mil", "exporting to coreml", INSTALL))
    program = network.program().run_decompositions(DECOMPOSITIONS | OF_BOOLS)
    network.tell("translating the graph to coreml")
    with _without_bars():
        model = tools.convert(
            program,
            source="pytorch",
            outputs=[tools.TensorType(name=network.output_facts().name)],
            convert_to="mlprogram",
            # By default weights and computations would become float16.
            compute_precision=tools.precision.FLOAT32,
            minimum_deployment_target=tools.target.iOS16,
            skip_model_load=True,
        )
    file = folder / "model.mlpackage"
    model.save(str(file))
    (file / EXTRA).unlink(missing_ok=True)
    return [file]


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Context in which the converter's progress bars, which it has no switch for, are not drawn."""
    from tqdm import tqdm

    before = tqdm.__init__
    tqdm.__init__ = functools.partialmethod(before, disable=True)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        tqdm.__init__ = before


def _teach(mil: Any) -> None:
    """Tell the converter of an operation that newer versions of PyTorch write: another name for the same values."""

    def alias(context: Any, node: Any) -> None:
        context.add(context[node.inputs[0]], torch_name=node.name)

    mil.register_torch_op(alias, override=True)


def open_engine(file: Path, threads: int | None) -> Engine:
    """Load the package for the processor; Core ML chooses its number of threads itself and ignores `threads`."""
    tools = require("coremltools", "running a Core ML package", INSTALL)
    model = tools.models.MLModel(str(file), compute_units=tools.ComputeUnit.CPU_ONLY)
    description = model.get_spec().description
    (given,), (found,) = ([one.name for one in ends] for ends in (description.input, description.output))

    def run(images: np.ndarray) -> np.ndarray:
        return model.predict({given: images})[found]

    return run


def not_here() -> str:
    """Why this machine cannot run packages for Core ML; empty on macOS."""
    return "" if is_macos() else "Core ML runs on Apple's systems alone, so its numbers can be checked on macOS only"


def check(file: Path, listed: Collection[str]) -> str:
    """What is wrong with a package; empty if its manifest and its graph name files of the package alone."""
    tools = require("coremltools", "reading a Core ML package", INSTALL)
    try:
        manifest = json.loads((file / MANIFEST).read_bytes())
        items = {key: str(item["path"]) for key, item in manifest["itemInfoEntries"].items()}
        root = items[manifest["rootModelIdentifier"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return f"its {MANIFEST} is not that of a Core ML package"
    if outside := next((path for path in items.values() if not _stays(path)), None):
        return f"its {MANIFEST} names '{printable(Path(outside))}', which leads out of it"
    specification = tools.proto.Model_pb2.Model()
    graph = file / CONTENT / root
    try:
        specification.ParseFromString(graph.read_bytes())
    except Exception:  # of protobuf, which is not a dependency of ours
        return f"{printable(Path(root))} in it is not a Core ML model"
    if specification.WhichOneof("Type") != "mlProgram":
        return "it is not a program, and an export writes nothing else"
    for name in _blobs(specification.mlProgram):
        inner = name.removeprefix(WITHIN)
        if inner == name or not _stays(inner) or not (graph.parent / inner).is_file():
            return f"its weights are in '{printable(Path(name))}', which is not a file of the package"
    return ""


def _stays(path: str) -> bool:
    """Whether a path stays below the folder that it starts from."""
    return all(is_plain_name(part) for part in PurePosixPath(path).parts) and not path.startswith("/")


def _blobs(message: Any) -> Iterator[str]:
    """Names of all files in which the values below a message are kept."""
    waiting = [message]
    while waiting:
        found = waiting.pop()
        if found.DESCRIPTOR.name == "BlobFileValue":
            yield found.fileName
            continue
        for field, value in found.ListFields():
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                inner = field.message_type.fields_by_name["value"]
                waiting += list(value.values()) if inner.message_type is not None else []
            else:
                waiting += list(value) if isinstance(value, Collection) else [value]


TARGET = register_target(
    Target(
        name="coreml",
        label="Core ML",
        summary="Core ML, on macOS and iOS",
        suffixes=(".mlpackage",),
        write=write,
        open=open_engine,
        check=check,
        folder=True,
        not_here=not_here,
        packages=("coremltools",),
        install=INSTALL,
        byte_arrays=False,
        # Its sizes are ranges that are fixed when it is converted.
        any_size=False,
        marker="*",
    )
)
