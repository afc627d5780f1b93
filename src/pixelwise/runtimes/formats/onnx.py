"""`.onnx`: the graph of `torch.export` as ONNX operators, for ONNX Runtime and most other runtimes."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelwise.machine.threads import core_limit
from pixelwise.runtimes.packages import EXPORT, require
from pixelwise.runtimes.safety import external_data_problem
from pixelwise.runtimes.targets import Engine, Target, register_target

if TYPE_CHECKING:
    from pixelwise.runtimes.graphs import ExportedNetwork

OPSET = 20
NEUTRAL = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}
"""Operators of ONNX, and the second operand with which each returns its first."""
NEARLY = 1e-4
"""Operands that differ from the neutral one by less are kept from the exporter's optimizer."""


def write(network: ExportedNetwork, folder: Path) -> list[Path]:
    """Translate the graph of `torch.export` to ONNX and write it."""
    import torch

    onnx = require("onnx", "exporting to onnx")
    program = network.program()
    network.tell("translating the graph to onnx")
    exported = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=[network.input_facts().name],
        output_names=[network.output_facts().name],
        verbose=False,
        optimize=False,
    )
    if exported is None:
        raise AssertionError("torch.onnx.export returns a program unless it is given a file")
    _keep_small_numbers(exported.model)
    exported.optimize()
    proto = exported.model_proto
    _forget_origin(proto)
    if network.options.dynamic:
        _name_dimensions(proto, network.options.uint8_input)
    onnx.checker.check_model(proto)
    file = folder / "model.onnx"
    file.write_bytes(proto.SerializeToString(deterministic=True))
    return [file]


def open_engine(file: Path, threads: int | None) -> Engine:
    """Start a session of ONNX Runtime on the CPU."""
    runtime = require("onnxruntime", "running an ONNX file")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    # The runtime itself respects neither an affinity mask nor a container's CPU quota.
    if (limited := threads or core_limit()) is not None:
        options.intra_op_num_threads = limited
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def open_for_threads(file: Path, count: int) -> Engine:
    """Start a session that computes in the thread of the caller, so that any number of threads can share it."""
    return open_engine(file, 1)


def embed(file: Path, properties: dict[str, str]) -> None:
    """Write properties into the metadata (`metadata_props`) of the model."""
    proto = _read(file)
    kept = [(entry.key, entry.value) for entry in proto.metadata_props if entry.key not in properties]
    del proto.metadata_props[:]
    for key, value in (*kept, *properties.items()):
        proto.metadata_props.add(key=key, value=value)
    file.write_bytes(proto.SerializeToString(deterministic=True))


def embedded(file: Path) -> dict[str, str]:
    """The metadata of the model."""
    return {entry.key: entry.value for entry in _read(file).metadata_props}


def check(file: Path, listed: Collection[str]) -> str:
    """What is wrong with weights that are kept in other files; empty if nothing is."""
    try:
        proto = _read(file)
    except ValueError:
        return "it is not an ONNX file"
    if not proto.HasField("graph"):
        # ONNX Runtime also opens a format of its own, whatever the file's name is.
        return "it is not an ONNX file: it has no graph"
    return external_data_problem(proto, file, listed)


def _read(file: Path) -> Any:
    """The model without weights that are kept in other files.

    Raises:
        ValueError: It is not an ONNX file.
        RecipeError: R240, the package onnx is not installed.
    """
    onnx = require("onnx", "reading an ONNX file")
    try:
        return onnx.load_model_from_string(file.read_bytes())
    except Exception as error:  # of protobuf, which is not a dependency of ours
        raise ValueError(str(error)) from error


def _keep_small_numbers(model: Any) -> None:
    """Protect additions of nearly 0 and multiplications by nearly 1 from the optimizer, which removes both.

    It compares scalars with 0 and 1 up to 1e-8, so a denominator would lose the 1e-15 that keeps it from being 0; but
    it leaves vectors of one element alone.
    """
    ir = require("onnx_ir", "exporting to onnx")
    for node in list(model.graph.all_nodes()):
        neutral = NEUTRAL.get(node.op_type)
        result = node.outputs[0].shape
        # A scalar result would become a vector.
        if neutral is None or result is None or len(result) == 0:
            continue
        for place, value in enumerate(node.inputs):
            number = ir.convenience.get_const_tensor(value)
            if number is None or number.shape.rank() != 0 or not number.dtype.is_floating_point():
                continue
            if 0 < abs(number.numpy().item() - neutral) < NEARLY:
                vector = ir.node("Constant", [], {"value": ir.tensor(number.numpy().reshape(1), dtype=number.dtype)})
                node.graph.insert_before(node, vector)
                node.replace_input_with(place, vector.outputs[0])


def _forget_origin(proto: Any) -> None:
    """Remove the exporter's records of the source code: stack traces with paths of this machine."""
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
    """Give dynamic dimensions readable names instead of the numbered ones from tracing."""
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


TARGET = register_target(
    Target(
        name="onnx",
        label="ONNX Runtime",
        summary="ONNX Runtime, and most other runtimes",
        suffixes=(".onnx",),
        write=write,
        open=open_engine,
        open_for_threads=open_for_threads,
        embed=embed,
        embedded=embedded,
        check=check,
        packages=("onnx", "onnxscript", "onnxruntime"),
        install=EXPORT,
        trained_int8=True,
        quantizer="pixelwise.deployment.int8.onnx:QUANTIZER",
        marker="s",
    )
)
