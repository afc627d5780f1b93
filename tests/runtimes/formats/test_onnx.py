from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pixelwise
from pixelwise.models import SegmentationModel
from pixelwise.runtimes.formats.onnx import open_engine, write
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions


def written(model: SegmentationModel, folder: Path, **options: bool) -> Path:
    (file,) = write(ExportedNetwork(model, GraphOptions(size=(48, 64), **options)).eval(), folder)
    return file


class SmallNumbers(nn.Module):
    """Numbers next to 0 and 1 at every place where an optimizer could take them for 0 and 1."""

    def forward(self, images: Tensor) -> Tensor:
        weights = F.relu(images.sum(1, keepdim=True)) * 1e-9
        return torch.cat(
            [
                weights / (weights + 1e-15),
                weights / (1e-12 + weights),
                (weights - 2e-9) * 1e9,
                (images[:, :1] * 1.000005 - images[:, :1]) * 1e5,
                (images[:, :1] / 1.000005 - images[:, :1]) * 1e5,
                images[:, :1] + 0.0,
            ],
            1,
        )


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


def test_numbers_next_to_0_and_1_are_kept(small_model: SegmentationModel, tmp_path: Path) -> None:
    images = torch.rand(1, 3, 4, 5) - 0.5
    images[..., 0] = -1.0
    network = ExportedNetwork(small_model, GraphOptions(size=(48, 64)))
    network.captured = torch.export.export(SmallNumbers(), (images,))
    (file,) = write(network, tmp_path)
    expected = SmallNumbers()(images)
    assert expected[:, :2, :, 0].eq(0).all()
    assert expected[:, :2].gt(0.9).any()
    assert not expected[:, 4].eq(0).all()
    found = open_engine(file, 1)(images.numpy())
    assert np.allclose(found, expected.numpy(), rtol=1e-3, atol=0.02)
    operators = [node.op_type for node in onnx.load(file).graph.node]
    assert operators.count("Add") == 2, "the addition of 0 is left out"
