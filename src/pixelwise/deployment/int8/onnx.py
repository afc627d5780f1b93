"""Post-training quantization of ONNX files by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.deployment.export.writing import quiet
from pixelwise.deployment.int8.bias_correction import correct_biases
from pixelwise.deployment.int8.onnx_graphs import WEIGHTED, last_layers, outside_layers, with_inputs
from pixelwise.deployment.int8.quantizers import Int8Job, Quantizer, cannot_quantize
from pixelwise.runtimes.packages import require

QUANTIZED = (
    *WEIGHTED, "Add", "Concat", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Pad",
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Split", "Slice",
)  # fmt: skip
"""Operators that ONNX Runtime computes in int8, or passes int8 through; sigmoids, HardSwish and products stay float."""


def quantize(job: Int8Job) -> list[Path]:
    """Quantize by inserting pairs of QuantizeLinear and DequantizeLinear, which runtimes fuse.

    The nodes before the first layers (normalisation) and after the last ones (upsampling, argmax) stay in float, and
    so do the last layers: with 256 levels, logits would have ties.

    Raises:
        ResourceError: S601, the disk is full.
        CheckpointError: K467, ONNX Runtime cannot quantize this graph.
    """
    onnx = require("onnx", "quantizing to onnx")
    quantization = require("onnxruntime.quantization", "quantizing to onnx")
    proto = onnx.load(job.float_file)
    in_float = with_inputs(proto, job.float_nodes)
    result = job.folder / "model.onnx"
    corrected = job.float_file.with_name("corrected.onnx")
    try:
        with quiet():
            correct_biases(job.float_file, corrected, job.inputs, {*job.float_nodes, *last_layers(proto)})
            quantization.quantize_static(
                corrected,
                result,
                _Reader(proto.graph.input[0].name, job.inputs()),
                op_types_to_quantize=list(QUANTIZED),
                nodes_to_exclude=sorted(in_float | outside_layers(proto)),
                per_channel=True,
                # Seven bits. x86 processors without VNNI add two products of 8 bits in 16, which larger weights
                # overflow, so that an artefact would be right on the machine that wrote it and wrong on another one:
                # 92.7 instead of 96.6 % equal pixels (FPNLite on the town). With a scale per channel they cost nothing.
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                # Percentile calibration lost less (0.07 against 0.33 points of mIoU, FPNLite on the town), but for it
                # ONNX Runtime keeps every activation of every image in memory.
                calibrate_method=quantization.CalibrationMethod.MinMax,
                extra_options={"MatMulConstBOnly": True, "CalibMovingAverage": True},
            )
        quantized = onnx.load(result)
        _give_float(quantized, in_float)
        onnx.checker.check_model(quantized)
    except Exception as error:  # the quantizer passes on whatever its components raise
        raise cannot_quantize("onnxruntime", error, job) from error
    result.write_bytes(quantized.SerializeToString(deterministic=True))
    return [result]


class _Reader:
    """Data reader from which ONNX Runtime takes the calibration inputs."""

    def __init__(self, name: str, inputs: Iterable[np.ndarray]) -> None:
        self._name, self._inputs = name, iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        images = next(self._inputs, None)
        return None if images is None else {self._name: images}


def _give_float(proto: Any, names: Collection[str]) -> None:
    """Connect float nodes to the original activations instead of those rounded for neighbouring int8 layers.

    Pairs of QuantizeLinear and DequantizeLinear at their inputs are bypassed, and removed if nothing else reads them.
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


QUANTIZER = Quantizer(package="onnxruntime.quantization", quantize=quantize, last_in_float=True)
