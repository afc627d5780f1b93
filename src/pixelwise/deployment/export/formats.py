"""From a network to the files of one format.

Everything begins with `torch.export`: the network as one graph of PyTorch's own operators, for one size or for any.
ONNX and OpenVINO are translations of that graph, ExecuTorch lowers it, `.pt2` is the graph itself.
"""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from pixelwise.deployment.export.graphs import INPUT, ExportedNetwork
from pixelwise.errors import CheckpointError
from pixelwise.runtimes.engines import require
from pixelwise.runtimes.sidecar import NAME, Runtime

OPSET = 20
NEEDED: dict[Runtime, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "torch-export": (),
    "executorch": ("executorch.exir",),
}
"""Packages without which a format can be neither written nor verified."""


def require_packages(target: Runtime) -> None:
    """Make sure that a format can be written and run here.

    Raises:
        RecipeError: R240, a package is not installed.
    """
    for package in NEEDED[target]:
        require(package, f"exporting to {target}")


def write_artefact(network: ExportedNetwork, target: Runtime, folder: Path) -> list[Path]:
    """Write a network in a format.

    Args:
        network: The network with what is before and after it.
        target: The format.
        folder: Existing; files are called `model` with the format's ending.

    Returns:
        The files.

    Raises:
        CheckpointError: K461, the format has no such operator, or the network cannot be one graph.
    """
    program = capture(network)
    writers = {
        "onnx": _write_onnx,
        "openvino": _write_openvino,
        "torch-export": _write_torch_export,
        "executorch": _write_executorch,
    }
    try:
        with quiet():
            return writers[target](program, network, folder)
    except Exception as error:  # every converter has exceptions of its own
        raise _unsupported(target, error, program) from error


def capture(network: ExportedNetwork) -> ExportedProgram:
    """The network as one graph.

    Raises:
        CheckpointError: K461, it cannot be one.
    """
    options = network.options
    example = options.example(len(network.model.preprocessing.mean))
    rows, columns = (1, 2) if options.uint8_input else (2, 3)
    # Nothing is declared about the sizes: whatever the graph needs them to be is found out by tracing.
    shapes = ({0: Dim.DYNAMIC, rows: Dim.DYNAMIC, columns: Dim.DYNAMIC},) if options.dynamic else None
    try:
        with torch.no_grad(), quiet():
            return torch.export.export(network, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export passes on whatever the traced code raises
        raise _unsupported("torch.export", error, None) from error


def _write_onnx(program: ExportedProgram, network: ExportedNetwork, folder: Path) -> list[Path]:
    import onnx

    exported = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[network.output_facts().name],
        verbose=False,
    )
    if exported is None:
        raise AssertionError("torch.onnx.export gives a program unless it is given a file")
    proto = exported.model_proto
    _forget_origin(proto)
    if network.options.dynamic:
        _name_dimensions(proto, network.options.uint8_input)
    onnx.checker.check_model(proto)
    file = folder / f"{NAME}.onnx"
    file.write_bytes(proto.SerializeToString(deterministic=True))
    return [file]


def _write_openvino(program: ExportedProgram, network: ExportedNetwork, folder: Path) -> list[Path]:
    openvino = require("openvino", "exporting to openvino")
    with tempfile.TemporaryDirectory() as between:
        (source,) = _write_onnx(program, network, Path(between))
        converted = openvino.convert_model(source)
        file = folder / f"{NAME}.xml"
        # By default weights would be halved to float16.
        openvino.save_model(converted, file, compress_to_fp16=False)
    return [file, file.with_suffix(".bin")]


def _write_torch_export(program: ExportedProgram, network: ExportedNetwork, folder: Path) -> list[Path]:
    file = folder / f"{NAME}.pt2"
    torch.export.save(program, file)
    return [file]


def _write_executorch(program: ExportedProgram, network: ExportedNetwork, folder: Path) -> list[Path]:
    partitioners = require("executorch.backends.xnnpack.partition.xnnpack_partitioner", "exporting to executorch")
    lowering = require("executorch.exir", "exporting to executorch")
    lowered = lowering.to_edge_transform_and_lower(program, partitioner=[partitioners.XnnpackPartitioner()])
    file = folder / f"{NAME}.pte"
    file.write_bytes(lowered.to_executorch().buffer)
    return [file]


def _forget_origin(proto: Any) -> None:
    """Remove what the exporter noted about the source: stack traces with the paths of this machine."""
    del proto.metadata_props[:]
    proto.doc_string = ""
    graphs = [proto.graph, *proto.functions]
    while graphs:
        graph = graphs.pop()
        del graph.metadata_props[:]
        graph.doc_string = ""
        for values in (getattr(graph, name, ()) for name in ("value_info", "input", "output", "initializer")):
            for value in values:
                # The inputs of a function are plain names.
                if not isinstance(value, str):
                    del value.metadata_props[:]
                    value.doc_string = ""
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _name_dimensions(proto: Any, uint8_input: bool) -> None:
    """Readable names for the sizes that are open; tracing gives them numbers."""
    places = {0: "batch", 1: "height", 2: "width"} if uint8_input else {0: "batch", 2: "height", 3: "width"}
    dimensions = proto.graph.input[0].type.tensor_type.shape.dim
    named = {dimensions[place].dim_param: name for place, name in places.items()}
    for place, name in places.items():
        dimensions[place].dim_param = name
    symbol = re.compile(r"\b(" + "|".join(re.escape(name) for name in named) + r")\b")
    for value in (*proto.graph.value_info, *proto.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = symbol.sub(lambda found: named[found[1]], dimension.dim_param)


def _unsupported(format_name: str, error: Exception, program: ExportedProgram | None) -> CheckpointError:
    """The error for a network that a format has no place for, naming the layer where it is known."""
    texts, cause = [], error
    while cause is not None and len(texts) < 10:
        texts.append(re.sub(r"\x1b\[\d+m", "", str(cause)))
        cause = cause.__cause__ or cause.__context__
    text = "\n".join(texts)
    operator = re.search(r"No (?:ONNX|decompositions?) \w+ (?:found )?for <OpOverload\(op='([^']+)'", text)
    node = re.search(r"translating node %?(\w+)", text)
    layer = _layer_of(program, node[1]) if node else None
    reason = f"it has no operator for {operator[1]}" if operator else _first_line(texts)
    return CheckpointError(
        "K461",
        f"{format_name} cannot hold this network: {reason}" + (f" (layer {layer})" if layer else ""),
        "try --target torch-export, which takes every operator of PyTorch, or a fixed size instead of --dynamic",
    )


def _first_line(texts: list[str]) -> str:
    # The innermost exception says what happened; the outer ones that something did.
    lines = [line.strip() for line in reversed(texts) for line in text_lines(line)]
    return lines[0] if lines else "no reason is given"


def text_lines(text: str) -> list[str]:
    """The lines of a text that are not empty."""
    return [line for line in text.splitlines() if line.strip()]


def _layer_of(program: ExportedProgram | None, name: str) -> str | None:
    """Which module of the network a node of its graph comes from."""
    for node in program.graph.nodes if program is not None else ():
        if node.name == name and (stack := node.meta.get("nn_module_stack")):
            path, _ = list(stack.values())[-1]
            return str(path).removeprefix("L['self'].") or None
    return None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The converters talk to their developers; what a user must know comes as an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
