from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.auditing.ceiling import count_overlap, measure_ceiling
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data


def test_labels_that_follow_the_cells_lose_nothing():
    labels = np.kron(np.array([[0, 1], [2, 255]], np.uint8), np.ones((8, 8), np.uint8))
    nearest, _ = count_overlap(labels, 8, 3)
    assert nearest.tolist() == [[64, 64, 64], [64, 64, 64], [64, 64, 64]]


def test_a_pole_thinner_than_a_cell_is_lost():
    labels = np.zeros((16, 16), np.uint8)
    labels[:, 3] = 1
    for counts in count_overlap(labels, 8, 2):
        assert counts.tolist() == [[240, 0], [240, 16], [256, 0]]


def test_stride_one_is_exact_and_ignored_pixels_count_nowhere():
    labels = np.random.default_rng(0).integers(0, 3, (7, 9)).astype(np.uint8)
    labels[0] = 255
    for right, truth, predicted in count_overlap(labels, 1, 3):
        assert right.tolist() == truth.tolist() == predicted.tolist()
        assert truth.sum() == 6 * 9


@pytest.mark.parametrize("shape", [(1, 1), (5, 33), (33, 5), (65, 63)])
def test_any_size_works(shape: tuple[int, int]):
    labels = np.zeros(shape, np.uint8)
    for stride in (4, 32):
        counts = count_overlap(labels, stride, 1)
        assert (counts == labels.size).all()


def test_the_ceiling_falls_with_the_stride(make_folder: Callable[..., Path]):
    rows, columns = np.mgrid[:96, :96]
    masks = {f"train/{i}": (((rows + 7 * i) // 12 + columns // 12) % 2).astype(np.uint8) for i in range(3)}
    dataset = open_dataset(Data(), make_folder(masks))
    found = measure_ceiling(dataset, dataset.splits["train"])
    assert [one.stride for one in found] == [4, 8, 16, 32]
    scores = [one.bilinear for one in found]
    assert scores == sorted(scores, reverse=True)
    assert 0.9 < scores[0] <= 1
    assert scores[-1] < 0.6
    assert found[0].images == 3
    assert measure_ceiling(dataset, dataset.splits["train"]) == found


def test_without_labels_there_is_no_number(make_folder: Callable[..., Path]):
    dataset = open_dataset(Data(classes=("a",)), make_folder({"train/a": np.full((8, 8), 255, np.uint8)}))
    assert all(np.isnan(one.bilinear) for one in measure_ceiling(dataset, dataset.splits["train"]))
