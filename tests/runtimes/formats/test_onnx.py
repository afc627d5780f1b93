from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import pixelwise
from pixelwise.models import SegmentationModel
from pixelwise.runtimes.formats.onnx import write
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions


def written(model: SegmentationModel, folder: Path, **options: bool) -> Path:
    (file,) = write(ExportedNetwork(model, GraphOptions(size=(48, 64), **options)).eval(), folder)
    return file


def sizes(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


@pytest.mark.heavy
def test_the_graph_names_its_open_sizes_and_forgets_where_it_was_made(
    small_model: SegmentationModel, tmp_path: Path
) -> None:
    file = written(small_model, tmp_path, uint8_input=True, argmax=True, dynamic=True)
    proto = onnx.load(file)
    (images,), (labels,) = proto.graph.input, proto.graph.output
    assert sizes(images) == ["batch", "height", "width", 3]
    assert sizes(labels) == ["batch", "height", "width"]
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert labels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert proto.opset_import[0].version == 20
    assert str(Path(pixelwise.__file__).parent).encode() not in file.read_bytes()


@pytest.mark.heavy
def test_a_graph_of_one_size_has_numbers_and_is_the_same_every_time(
    small_model: SegmentationModel, tmp_path: Path
) -> None:
    first = written(small_model, tmp_path)
    graph = onnx.load(first).graph
    assert sizes(graph.input[0]) == [1, 3, 48, 64]
    assert sizes(graph.output[0]) == [1, 3, 48, 64]
    (tmp_path / "again").mkdir()
    assert written(small_model, tmp_path / "again").read_bytes() == first.read_bytes()
