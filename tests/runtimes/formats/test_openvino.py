from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest

from pixelwise.models import SegmentationModel
from pixelwise.runtimes.formats.openvino import open_engine, write
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions


@pytest.mark.heavy
def test_weights_stay_in_float32_and_results_stay_when_the_next_call_overwrites_them(
    small_model: SegmentationModel, tmp_path: Path
) -> None:
    network = ExportedNetwork(small_model, GraphOptions(size=(48, 64))).eval()
    files = write(network, tmp_path)
    assert [file.name for file in files] == ["model.xml", "model.bin"]
    kinds = {
        str(operation.get_element_type())
        for operation in openvino.Core().read_model(files[0]).get_ordered_ops()
        if operation.get_type_name() == "Constant" and len(operation.get_output_shape(0)) == 4
    }
    assert kinds == {"<Type: 'float32'>"}
    engine = open_engine(files[0], 1)
    first = engine(np.zeros((1, 3, 48, 64), np.float32))
    before = first.copy()
    engine(np.ones((1, 3, 48, 64), np.float32))
    assert np.array_equal(first, before)
