from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from deployment.int8.graphs_by_hand import chain

from pixelwise.deployment.int8.openvino import quantize
from pixelwise.deployment.int8.quantize import int8_artefact
from pixelwise.deployment.int8.quantizers import Int8Job
from pixelwise.errors import CheckpointError

SIZE = (48, 64)


@pytest.mark.heavy
def test_what_follows_the_classifier_is_not_rounded_for_openvino(
    small_run: Path, small_town: Path, tmp_path: Path
) -> None:
    """The node that gives the result bears another name there than in ONNX."""
    exported = int8_artefact(small_run, tmp_path / "out", target="openvino", size=SIZE, data=small_town)

    operations = openvino.Core().read_model(exported.path).get_ordered_ops()
    kinds = [operation.get_type_name() for operation in operations]
    classifier = max(index for index, kind in enumerate(kinds) if kind in ("Convolution", "MatMul"))
    assert "FakeQuantize" in kinds[:classifier]
    assert "FakeQuantize" not in kinds[classifier:]


@pytest.mark.heavy
def test_what_the_quantizer_raises_is_one_sentence(tmp_path: Path) -> None:
    onnx.save(chain(), tmp_path / "float.onnx")
    wrong = [np.zeros((7, 7), np.float32)]
    with pytest.raises(CheckpointError) as caught:
        quantize(Int8Job(float_file=tmp_path / "float.onnx", folder=tmp_path, inputs=lambda: wrong, count=1))
    assert caught.value.code == "K467"
    assert "\n" not in caught.value.message
