"""Looking at ONNX graphs: their layers, and what stands before, between and after these."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that layers become."""


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


def outside_layers(proto: Any) -> set[str]:
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


def with_inputs(proto: Any, layers: Collection[str]) -> set[str]:
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


def _is_layer(node: Any, stored: Collection[str]) -> bool:
    return node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in stored


def _values(node: Any) -> list[str]:
    """The inputs of a node that are images; not sizes, which are computed from shapes."""
    return list(node.input[:1] if node.op_type in ("Resize", "Reshape", "Slice", "Pad", "Split") else node.input)
