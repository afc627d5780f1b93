from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from deployment.int8.graphs_by_hand import chain

from pixelwise.deployment.int8.onnx import quantize
from pixelwise.deployment.int8.quantizers import Int8Job
from pixelwise.errors import CheckpointError

IMAGES = [np.random.default_rng(seed).uniform(0, 4, (1, 2, 3, 5)).astype(np.float32) for seed in range(3)]


def job(folder: Path, **changes: object) -> Int8Job:
    between = folder / "between"
    between.mkdir()
    onnx.save(chain(np.array([[0.3, -0.7], [1.1, 0.2]], np.float32).reshape(2, 2, 1, 1)), between / "float.onnx")
    given = {"inputs": lambda: IMAGES, "count": len(IMAGES), **changes}
    return Int8Job(float_file=between / "float.onnx", folder=folder, **given)  # type: ignore[arg-type]


def rounded(graph: onnx.GraphProto, position: int) -> set[str]:
    """The nodes of the float graph whose first (0: values) or second (1: weights) input was rounded."""
    dequantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    others = [node for node in graph.node if node.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    return {node.name for node in others if dequantized & set(node.input[position : position + 1])}


def test_what_is_before_the_first_and_after_the_last_layer_stays_in_float(tmp_path: Path) -> None:
    (file,) = quantize(job(tmp_path))
    graph = onnx.load(file).graph
    # The last layer computes with its own weights on what the int8 layers before it give.
    assert rounded(graph, 1) == {"conv1"}
    assert rounded(graph, 0) == {"conv1", "conv2"}
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    exact = onnxruntime.InferenceSession(tmp_path / "between" / "float.onnx", providers=["CPUExecutionProvider"])
    for image in IMAGES:
        (found,), (expected,) = session.run(None, {"images": image}), exact.run(None, {"images": image})
        # What is above the mean of the largest values is cut off; the rest is one of 256 steps of about 0.01.
        inside = expected < 0.95 * found.max()
        assert 0 < np.abs(found - expected)[inside].max() < 0.02


def test_a_layer_that_is_to_stay_in_float_reads_what_was_computed(tmp_path: Path) -> None:
    (file,) = quantize(job(tmp_path, float_nodes={"conv1"}))
    graph = onnx.load(file).graph
    assert rounded(graph, 0) == rounded(graph, 1) == set()
    assert not any(node.op_type == "QuantizeLinear" for node in graph.node)


def test_what_the_quantizer_raises_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        quantize(job(tmp_path, inputs=lambda: [np.zeros((7, 7), np.float32)]))
    assert caught.value.code == "K467"
    assert "\n" not in caught.value.message
