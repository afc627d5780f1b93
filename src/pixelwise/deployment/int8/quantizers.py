"""From an ONNX graph in float32 to int8, by ONNX Runtime and by NNCF for OpenVINO.

Weights become int8, symmetric, with one scale per output channel; activations uint8 with one scale and one zero point
per tensor, found by running the graph over calibration images. Batch normalisation is folded into the convolutions
already when the graph is written.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pixelwise.deployment.export.formats import quiet
from pixelwise.deployment.int8.bias_correction import correct_biases
from pixelwise.errors import CheckpointError
from pixelwise.runtimes.engines import require
from pixelwise.runtimes.sidecar import NAME

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that layers become."""
QUANTIZED = (
    *WEIGHTED, "Add", "Concat", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Pad",
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Split", "Slice",
)  # fmt: skip
"""What ONNX Runtime computes in int8, or passes on, between layers; sigmoids, HardSwish and products stay in float."""
ACTIVATION_RANGE = "mean over the images of the least and of the largest value"
"""How the range of an activation follows from the calibration images: a single outlier does not stretch it."""


def layer_nodes(proto: Any, network: nn.Module) -> dict[str, str]:
    """Which node of a graph each layer became.

    Args:
        proto: The ONNX graph of `network`.
        network: The model that was exported.

    Returns:
        Path of the layer in `network` -> name of the node; layers that share a node's weights count once.
    """
    # In an exported network it is the part named `model`.
    weights = {f"model.{path}.weight": path for path, module in network.named_modules() if hasattr(module, "weight")}
    # The exporter turns the weights of a linear layer, and names the result by a number.
    turned = {
        module.weight.detach().T.contiguous().numpy().tobytes(): path
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear)
    }
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    found: dict[str, str] = {}
    for node in proto.graph.node:
        if node.op_type not in WEIGHTED or node.input[1] not in stored:
            continue
        tensor = stored[node.input[1]]
        path = weights.get(tensor.name) or turned.get(tensor.raw_data)
        if path is not None:
            found.setdefault(path, node.name)
    return found


def quantize_onnx(
    float_file: Path, folder: Path, inputs: Callable[[], Iterable[np.ndarray]], keep: Collection[str]
) -> list[Path]:
    """Quantize by ONNX Runtime, as pairs of QuantizeLinear and DequantizeLinear that runtimes fuse.

    What stands before the first layers (normalisation) and after the last ones (enlarging, the choice of a class)
    stays in float, and the last layers with it: 256 levels per logit would make ties.

    Args:
        float_file: The ONNX file in float32.
        folder: For `model.onnx`.
        inputs: Makes the calibration inputs anew.
        keep: Names of layers' nodes that stay in float.

    Returns:
        The file.

    Raises:
        CheckpointError: K467, ONNX Runtime cannot quantize this graph.
    """
    import onnx

    quantization = require("onnxruntime.quantization", "quantizing to onnx")
    proto = onnx.load(float_file)
    in_float = _with_inputs(proto, keep)
    result = folder / f"{NAME}.onnx"
    corrected = float_file.with_name("corrected.onnx")
    try:
        with quiet():
            correct_biases(float_file, corrected, inputs, {*keep, *last_layers(proto)})
            quantization.quantize_static(
                corrected,
                result,
                _Reader(proto.graph.input[0].name, inputs()),
                op_types_to_quantize=list(QUANTIZED),
                nodes_to_exclude=sorted(in_float | _outside(proto)),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                # Percentiles lost less (0.07 against 0.33 points of mIoU, FPNLite on the town), but ONNX Runtime keeps
                # every activation of every image in memory for them.
                calibrate_method=quantization.CalibrationMethod.MinMax,
                extra_options={"MatMulConstBOnly": True, "CalibMovingAverage": True},
            )
        quantized = onnx.load(result)
        _give_float(quantized, in_float)
        onnx.checker.check_model(quantized)
    except Exception as error:  # the quantizer passes on whatever its parts raise
        raise _refused("onnxruntime", error) from error
    result.write_bytes(quantized.SerializeToString(deterministic=True))
    return [result]


def quantize_openvino(
    float_file: Path, folder: Path, inputs: Callable[[], Iterable[np.ndarray]], count: int, keep: Collection[str]
) -> list[Path]:
    """Quantize by NNCF: symmetric weights, asymmetric activations, biases corrected on the calibration images.

    Args:
        float_file: The ONNX file in float32.
        folder: For `model.xml` and `model.bin`.
        inputs: Makes the calibration inputs anew.
        count: How many these are.
        keep: Names of layers' nodes that stay in float.

    Returns:
        The files.

    Raises:
        CheckpointError: K467, NNCF cannot quantize this graph.
    """
    import onnx

    openvino = require("openvino", "quantizing to openvino")
    nncf = require("nncf", "quantizing to openvino")
    result = folder / f"{NAME}.xml"
    try:
        # Its progress bars go to where results are printed.
        with quiet(), contextlib.redirect_stdout(io.StringIO()):
            model = openvino.convert_model(float_file)
            proto = onnx.load(float_file)
            in_float = _with_inputs(proto, keep) | (_outside(proto) - last_layers(proto))
            ignored = _operations(model, proto, in_float)
            quantized = nncf.quantize(
                model,
                nncf.Dataset(_Anew(inputs)),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=count,
                ignored_scope=nncf.IgnoredScope(names=ignored, validate=False),
            )
            openvino.save_model(quantized, result, compress_to_fp16=False)
    except Exception as error:  # the quantizer passes on whatever its parts raise
        raise _refused("nncf", error) from error
    return [result, result.with_suffix(".bin")]


def _operations(model: Any, proto: Any, names: Collection[str]) -> list[str]:
    """What nodes of an ONNX graph are called in the OpenVINO model that was made from it.

    Args:
        model: The OpenVINO model.
        proto: The ONNX graph.
        names: Of the nodes.
    """
    # OpenVINO calls what gives the model's result by the result's name.
    results = {name for node in proto.graph.node if node.name in names for name in node.output}
    found = []
    for operation in model.get_ordered_ops():
        name = operation.get_friendly_name()
        given = {tensor for output in operation.outputs() for tensor in output.get_names()}
        # A convolution with a bias becomes two operations; the first one is the layer.
        if name.removesuffix("/WithoutBiases") in names or given & results:
            found.append(name)
    return found


def last_layers(proto: Any) -> set[str]:
    """Names of the nodes with weights from which the output is reached without passing another one."""
    producers = {name: node for node in proto.graph.node for name in node.output}
    stored = {tensor.name for tensor in proto.graph.initializer}
    found, seen = set(), set()
    waiting = [value.name for value in proto.graph.output]
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if _is_layer(node, stored):
            found.add(node.name)
        else:
            waiting += _values(node)
    return found


class _Reader:
    """What ONNX Runtime asks for the next input."""

    def __init__(self, name: str, inputs: Iterable[np.ndarray]) -> None:
        self._name, self._inputs = name, iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        images = next(self._inputs, None)
        return None if images is None else {self._name: images}


class _Anew:
    """An iterable that may be read more than once without keeping the images."""

    def __init__(self, make: Callable[[], Iterable[np.ndarray]]) -> None:
        self._make = make

    def __iter__(self) -> Any:
        return iter(self._make())


def _is_layer(node: Any, stored: Collection[str]) -> bool:
    return node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in stored


def _outside(proto: Any) -> set[str]:
    """The nodes before the first layers, the last layers, and the nodes after them."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    consumers: dict[str, list[Any]] = {}
    for node in proto.graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    last = last_layers(proto)
    outside = set(last)
    starts = [value.name for value in proto.graph.input]
    starts += [name for node in proto.graph.node if node.name in last for name in node.output]
    while starts:
        for node in consumers.get(starts.pop(), ()):
            # Sizes that are read off an image lead to every Resize.
            if node.op_type != "Shape" and node.name not in outside and not _is_layer(node, stored):
                outside.add(node.name)
                starts += node.output
    return outside


def _with_inputs(proto: Any, layers: Collection[str]) -> set[str]:
    """Layers, and what stands between them and the layers before."""
    producers = {name: node for node in proto.graph.node for name in node.output}
    found: set[str] = set()
    waiting = [node for node in proto.graph.node if node.name in layers]
    while waiting:
        node = waiting.pop()
        found.add(node.name)
        before = [producers[name] for name in _values(node) if name in producers]
        waiting += [node for node in before if node.op_type not in WEIGHTED and node.name not in found]
    return found


def _values(node: Any) -> list[str]:
    """The inputs of a node that are images; not sizes, which are computed from shapes."""
    return list(node.input[:1] if node.op_type in ("Resize", "Reshape", "Slice", "Pad", "Split") else node.input)


def _give_float(proto: Any, names: Collection[str]) -> None:
    """Let nodes in float read what was computed, not what was rounded for the int8 layers beside them.

    Pairs of QuantizeLinear and DequantizeLinear at their inputs are passed by, and removed if nothing else reads them.
    """
    producers = {name: node for node in proto.graph.node for name in node.output}
    for node in proto.graph.node:
        if node.name not in names:
            continue
        for position, name in enumerate(node.input):
            turned = producers.get(name)
            rounded = producers.get(turned.input[0]) if turned is not None else None
            if turned is not None and rounded is not None and turned.op_type == "DequantizeLinear":
                node.input[position] = rounded.input[0]
    _remove_unread(proto.graph)


def _remove_unread(graph: Any) -> None:
    kinds = ("QuantizeLinear", "DequantizeLinear")
    while True:
        read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        unread = [node for node in graph.node if node.op_type in kinds and not read & set(node.output)]
        if not unread:
            break
        for node in unread:
            graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)


def _refused(package: str, error: Exception) -> CheckpointError:
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return CheckpointError(
        "K467", f"{package} cannot quantize this network: {reason}", "try the other --target, or a fixed --size"
    )
