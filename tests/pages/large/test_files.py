from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.pages.errors import kinds_of, region_kinds
from pixelwise.pages.large import files
from pixelwise.pages.large.files import PREDICTION, REGIONS, Enlarged, Kinds, Stored


def test_a_reduced_picture_at_full_size_by_hand():
    enlarged = Enlarged(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), (4, 6))
    assert enlarged.read(Rectangle(0, 0, 4, 6))[:, ::2].tolist() == [[1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6]]
    assert enlarged.read(Rectangle(1, 3, 2, 2)).tolist() == [[2, 3], [5, 6]]
    # 2 pixels for 5: the middle one belongs to the second.
    assert Enlarged(np.array([[1, 2]], np.uint8), (1, 5)).read(Rectangle(0, 0, 1, 5)).tolist() == [[1, 1, 2, 2, 2]]


def test_rectangles_of_a_file(tmp_path: Path):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    (tmp_path / "a").write_bytes(values.tobytes())
    assert Stored(tmp_path / "a", (3, 4)).read(Rectangle(1, 2, 2, 2)).tolist() == [[6, 7], [10, 11]]


@pytest.fixture
def labels() -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction (60, 90) of three classes in squares, one missed, one invented, one too large."""
    truth = np.zeros((60, 90), np.uint8)
    truth[6:30, 10:40], truth[40:58, 50:80], truth[:4] = 1, 2, 255
    prediction = truth.copy()
    prediction[6:30, 10:40], prediction[10:30, 56:84], prediction[40:58, 30:50] = 0, 1, 2
    return truth, prediction


@pytest.mark.parametrize("most", [1 << 24, 60 * 90 // 4])
def test_errors_of_parts_are_those_of_the_whole(labels, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "MOST_REGION_PIXELS", most)
    truth, prediction = labels
    step = 1 if most > truth.size else 2
    (tmp_path / PREDICTION).write_bytes(prediction.tobytes())
    reduced = [one[step // 2 :: step, step // 2 :: step] for one in labels]
    (tmp_path / REGIONS).write_bytes(region_kinds(*reduced).tobytes())
    kinds = Kinds(lambda where: truth[where.top : where.bottom, where.left : where.right], tmp_path, truth.shape)
    parts = [
        np.concatenate([kinds.read(Rectangle(top, left, 20, 30)) for left in (0, 30, 60)], axis=1)
        for top in (0, 20, 40)
    ]
    expected = kinds_of(truth, prediction)
    assert set(np.unique(expected)) == {0, 1, 2, 3, 4}
    assert np.array_equal(np.concatenate(parts), expected)
    assert np.array_equal(kinds.read(Rectangle(3, 7, 50, 61)), expected[3:53, 7:68])
