from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest

from pixelwise.models import SegmentationModel
from pixelwise.runtimes.formats.openvino import open_engine, write
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions

THREADS = """
import os, sys
from pathlib import Path
import numpy as np
from pixelwise.runtimes.formats.openvino import open_engine, open_for_threads

usable = os.sched_getaffinity(0)
before = len(os.listdir("/proc/self/task"))
for engine in (open_engine(Path(sys.argv[1]), 2), open_for_threads(Path(sys.argv[1]), 2)):
    engine(np.zeros((1, 3, 48, 64), np.float32))
    threads = [int(name) for name in os.listdir("/proc/self/task")]
    assert len(threads) > before, "the runtime has no threads of its own"
    assert all(os.sched_getaffinity(thread) == usable for thread in threads)
"""


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


@pytest.mark.heavy
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity masks")
def test_no_thread_is_bound_to_a_core_that_another_process_may_use(
    small_model: SegmentationModel, tmp_path: Path
) -> None:
    network = ExportedNetwork(small_model, GraphOptions(size=(48, 64))).eval()
    file, _ = write(network, tmp_path)
    # In a process of its own: other runtimes of this one may have bound threads of theirs.
    subprocess.run([sys.executable, "-c", THREADS, str(file)], check=True)
