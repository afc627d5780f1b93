from __future__ import annotations

import numpy as np
import pytest
from evaluation.color_model import write_dataset


def labels(*rows: str) -> np.ndarray:
    """Class ids from digits; `.` is ignored."""
    return np.array([[255 if c == "." else int(c) for c in row] for row in rows], dtype=np.uint8)


@pytest.fixture
def two_images(tmp_path):
    """Image 0: a pond pixel taken for path and one void pixel. Image 1: perfect, no pond."""
    return write_dataset(
        tmp_path / "data",
        [
            (labels("0011", "0011", "0012"), labels("0011", "0021", "00.2")),
            (labels("0000", "1111"), labels("0000", "1111")),
        ],
    )
