"""Bias correction: subtracts from a layer's bias the mean shift that rounding its weights causes.

Depthwise convolutions have few weights per channel, so their rounding errors do not cancel: the sum of the errors,
times the mean of the input, shifts a whole channel. The idea is from Nagel et al. 2019, arXiv:1906.04721.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.runtimes.packages import require


def correct_biases(
    float_file: Path, result: Path, inputs: Callable[[], Iterable[np.ndarray]], keep: Collection[str]
) -> None:
    """Write an ONNX graph in which the biases of convolutions are corrected for rounding their weights to int8.

    Args:
        float_file: ONNX file of the float32 graph.
        result: ONNX file to write; its graph is still in float32.
        inputs: Returns a new iterator over the calibration inputs.
        keep: Names of nodes whose weights are not rounded.
    """
    import onnx
    from onnx import numpy_helper

    proto = onnx.load(float_file)
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    convolutions = [
        node
        for node in proto.graph.node
        if node.op_type == "Conv"
        and node.name not in keep
        and len(node.input) == 3
        and node.input[1] in stored
        and node.input[2] in stored
    ]
    means = channel_means(proto, sorted({node.input[0] for node in convolutions}), inputs)
    for node in convolutions:
        weight, bias = (numpy_helper.to_array(stored[name]) for name in node.input[1:])
        corrected = (bias - rounding_shift(weight, means[node.input[0]])).astype(np.float32)
        stored[node.input[2]].CopyFrom(numpy_helper.from_array(corrected, node.input[2]))
    result.write_bytes(proto.SerializeToString(deterministic=True))


def rounding_shift(weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Mean shift of each output channel by rounding; smaller at the image's border, where the padding is zero.

    Args:
        weight: (O, I, h, w), weights of a convolution with C / I groups.
        mean: (C,), channel means of its input.

    Returns:
        (O,), to be subtracted from the bias.
    """
    outputs, per_group = weight.shape[:2]
    flat = weight.reshape(outputs, -1).astype(np.float64)
    scale = np.maximum(np.abs(flat).max(1, keepdims=True), np.finfo(np.float32).tiny) / 127
    errors = (np.round(flat / scale) * scale - flat).reshape(outputs, per_group, -1).sum(2)
    groups = len(mean) // per_group
    grouped_means = np.repeat(mean.reshape(groups, per_group), outputs // groups, axis=0)
    return (errors * grouped_means).sum(1)


def channel_means(proto: Any, names: list[str], inputs: Callable[[], Iterable[np.ndarray]]) -> dict[str, np.ndarray]:
    """Channel means (C,) of the named tensors (B, C, H, W) of a graph, over all inputs."""
    import onnx

    if not names:  # a session without outputs cannot be run
        return {}
    runtime = require("onnxruntime", "quantizing to onnx")
    measuring = onnx.ModelProto()
    measuring.CopyFrom(proto)
    graph = measuring.graph
    del graph.output[:]
    axes = "axes of the means"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 2, 3], np.int64), axes))
    for name in names:
        graph.node.append(onnx.helper.make_node("ReduceMean", [name, axes], [f"mean of {name}"], keepdims=0))
        graph.output.append(onnx.helper.make_tensor_value_info(f"mean of {name}", onnx.TensorProto.FLOAT, None))
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(measuring.SerializeToString(), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    totals, count = [np.zeros(1)] * len(names), 0
    for images in inputs():
        found = session.run(None, {entry: images})
        totals, count = [total + one for total, one in zip(totals, found, strict=True)], count + 1
    return {name: total / count for name, total in zip(names, totals, strict=True)}
