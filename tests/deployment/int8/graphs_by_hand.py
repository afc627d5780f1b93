"""A small ONNX graph: scale -> conv1 -> relu -> conv2 -> resize (its size read off the input) -> result."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT


def constant(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(values, name)


def chain(weight: np.ndarray | None = None, bias: np.ndarray | None = None) -> onnx.ModelProto:
    """Two 1x1 convolutions of two channels; `weight` and `bias` are those of the first."""
    identity = np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)
    stored = [
        constant("half", np.array(0.5, np.float32)),
        constant("model.conv1.weight", identity if weight is None else weight),
        constant("model.conv1.bias", np.zeros(2, np.float32) if bias is None else bias),
        constant("model.conv2.weight", identity),
        constant("roi", np.zeros(0, np.float32)),
    ]
    nodes = [
        helper.make_node("Mul", ["images", "half"], ["scaled"], "scale"),
        helper.make_node("Conv", ["scaled", "model.conv1.weight", "model.conv1.bias"], ["first"], "conv1"),
        helper.make_node("Relu", ["first"], ["positive"], "relu"),
        helper.make_node("Conv", ["positive", "model.conv2.weight"], ["second"], "conv2"),
        helper.make_node("Shape", ["images"], ["size"], "shape"),
        helper.make_node("Resize", ["second", "roi", "", "size"], ["logits"], "resize", mode="nearest"),
    ]
    values = [helper.make_tensor_value_info(name, FLOAT, [1, 2, "h", "w"]) for name in ("images", "logits")]
    graph = helper.make_graph(nodes, "chain", values[:1], values[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model
