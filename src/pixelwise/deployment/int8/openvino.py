"""Post-training quantization of OpenVINO models by NNCF."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.deployment.export.writing import quiet
from pixelwise.deployment.int8.onnx_graphs import last_layers, outside_layers, with_inputs
from pixelwise.deployment.int8.quantizers import Int8Job, Quantizer, cannot_quantize
from pixelwise.runtimes.packages import require


def quantize(job: Int8Job) -> list[Path]:
    """Quantize with symmetric weights and asymmetric activations, and correct biases on the calibration images.

    Raises:
        ResourceError: S601, the disk is full.
        CheckpointError: K467, NNCF cannot quantize this graph.
    """
    onnx = require("onnx", "quantizing to openvino")
    openvino = require("openvino", "quantizing to openvino")
    nncf = require("nncf", "quantizing to openvino")
    result = job.folder / "model.xml"
    try:
        # NNCF prints its progress bars to stdout, where results are printed.
        with quiet(), contextlib.redirect_stdout(io.StringIO()):
            model = openvino.convert_model(job.float_file)
            proto = onnx.load(job.float_file)
            in_float = with_inputs(proto, job.float_nodes) | (outside_layers(proto) - last_layers(proto))
            ignored = _operations(model, proto, in_float)
            quantized = nncf.quantize(
                model,
                nncf.Dataset(_Reiterable(job.inputs)),
                preset=nncf.QuantizationPreset.MIXED,
                # Seven bits for the weights of all layers: see `onnx.quantize`.
                advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
                subset_size=job.count,
                ignored_scope=nncf.IgnoredScope(names=ignored, validate=False),
            )
            openvino.save_model(quantized, result, compress_to_fp16=False)
    except Exception as error:  # the quantizer passes on whatever its components raise
        raise cannot_quantize("nncf", error, job) from error
    return [result, result.with_suffix(".bin")]


def _operations(model: Any, proto: Any, names: Collection[str]) -> list[str]:
    """Names of ONNX nodes in the OpenVINO model converted from the graph.

    Args:
        model: The OpenVINO model.
        proto: The ONNX graph that it was converted from.
        names: Names of ONNX nodes.
    """
    # OpenVINO gives the operation that returns the model's result the name of the result.
    results = {name for node in proto.graph.node if node.name in names for name in node.output}
    found = []
    for operation in model.get_ordered_ops():
        name = operation.get_friendly_name()
        given = {tensor for output in operation.outputs() for tensor in output.get_names()}
        # A convolution with a bias becomes two operations; the first one is the layer.
        if name.removesuffix("/WithoutBiases") in names or given & results:
            found.append(name)
    return found


class _Reiterable:
    """An iterable that can be read repeatedly without keeping the images in memory."""

    def __init__(self, make: Callable[[], Iterable[np.ndarray]]) -> None:
        self._make = make

    def __iter__(self) -> Any:
        return iter(self._make())


QUANTIZER = Quantizer(package="nncf", quantize=quantize)
