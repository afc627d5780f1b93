from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pixelwise.models import SegmentationModel
from pixelwise.runtimes.formats.torch_export import open_engine, write
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions


@pytest.mark.heavy
def test_a_program_of_any_size_runs_at_others_than_its_example_and_gives_threads_back(
    small_model: SegmentationModel, tmp_path: Path
) -> None:
    network = ExportedNetwork(small_model, GraphOptions(size=(48, 64), dynamic=True)).eval()
    (file,) = write(network, tmp_path)
    engine = open_engine(file, 2)
    for size in ((48, 64), (65, 98), (33, 64)):
        images = np.random.default_rng(0).standard_normal((3, 3, *size), dtype=np.float32)
        with torch.no_grad():
            assert np.allclose(engine(images), network(torch.from_numpy(images)).numpy(), atol=1e-3)
        assert torch.get_num_threads() == 1
