"""Analysis of ONNX graphs: their layers, and the nodes before, between and after them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""ONNX operators of layers with weights."""


def layer_nodes(proto: Any, network: nn.Module) -> dict[str, str]:
    """Find the ONNX node of each layer of a network.

    Args:
        proto: The ONNX graph of `network`.
        network: The model that was exported.

    Returns:
        Path of the layer in `network` -> name of the node; layers that share their weights are listed once.
    """
    # `ExportedNetwork` holds the network as its attribute `model`.
    weights = {f"model.{path}.weight": path for path, module in network.named_modules() if hasattr(module, "weight")}
    # The exporter transposes the weights of a linear layer and gives the result a numbered name.
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


def last_layers(proto: Any) -> set[str]:
    """Names of the last nodes with weights: those from which no other such node lies on the way to the output."""
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


def outside_layers(proto: Any) -> set[str]:
    """Names of the nodes before the first layers, of the last layers, and of the nodes after them."""
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
            # The image's size, read by Shape, leads to every Resize, so this path is not followed.
            if node.op_type != "Shape" and node.name not in outside and not _is_layer(node, stored):
                outside.add(node.name)
                starts += node.output
    return outside


def with_inputs(proto: Any, layers: Collection[str]) -> set[str]:
    """Names of the given layers, and of the nodes between them and the preceding layers."""
    producers = {name: node for node in proto.graph.node for name in node.output}
    found: set[str] = set()
    waiting = [node for node in proto.graph.node if node.name in layers]
    while waiting:
        node = waiting.pop()
        found.add(node.name)
        before = [producers[name] for name in _values(node) if name in producers]
        waiting += [node for node in before if node.op_type not in WEIGHTED and node.name not in found]
    return found


def _is_layer(node: Any, stored: Collection[str]) -> bool:
    return node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in stored


def _values(node: Any) -> list[str]:
    """The inputs of a node that are activations or weights, without sizes, which are computed from shapes."""
    return list(node.input[:1] if node.op_type in ("Resize", "Reshape", "Slice", "Pad", "Split") else node.input)
