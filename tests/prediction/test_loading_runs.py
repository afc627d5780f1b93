from pathlib import Path

import numpy as np
import pytest

from pixelwise.errors import CheckpointError
from pixelwise.prediction.loading import load


def test_a_run_predicts(tiny_run: Path, tiny_data: Path):
    prediction = load(tiny_run).predict(tiny_data / "images" / "test" / "00.png")
    assert prediction.labels.shape == (48, 64)
    assert prediction.classes == ("ground", "box", "ball")
    assert set(np.unique(prediction.labels)) <= {0, 1, 2}


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path):
    with pytest.raises(CheckpointError, match="not a run folder"):
        load(tmp_path)
