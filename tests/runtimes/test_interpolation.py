"""Interpolation of arrays, held against PyTorch's kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pixelwise.metrics import argmax
from pixelwise.runtimes.interpolation import resized, rows_of, source_cells

SIZES = [
    ((5, 7), (5, 7)),
    ((5, 7), (40, 56)),
    ((6, 9), (47, 61)),
    ((33, 20), (9, 8)),
    ((1, 4), (3, 1)),
    ((4, 1), (1, 5)),
]


@pytest.mark.parametrize(("old", "new"), SIZES)
@pytest.mark.parametrize("align_corners", [False, True])
def test_values_are_those_of_pytorch_up_to_rounding(old, new, align_corners):
    values = np.random.default_rng(0).normal(size=(3, *old)).astype(np.float32)
    wanted = F.interpolate(torch.from_numpy(values)[None], new, mode="bilinear", align_corners=align_corners)[0]
    assert np.abs(resized(values, new, align_corners) - wanted.numpy()).max() < 2e-6


@pytest.mark.parametrize("align_corners", [False, True])
def test_cells_and_weights_are_exactly_those_of_pytorch(align_corners):
    for length in range(1, 40):
        for output in (1, 2, 3, 17, 64, 97, 480, 1023):
            wanted = argmax.source_cells(length, output, align_corners, torch.float32, torch.device("cpu"))
            found = source_cells(length, output, align_corners)
            assert all(np.array_equal(mine, theirs.numpy()) for mine, theirs in zip(found, wanted, strict=True))


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_some_rows_are_those_of_all(old, new):
    values = np.random.default_rng(1).normal(size=(2, *old)).astype(np.float32)
    whole = resized(values, new, False)
    for first in range(new[0]):
        assert np.array_equal(rows_of(values, new, first, new[0], False), whole[:, first:])


def test_by_hand():
    assert resized(np.array([[0.0, 4.0]]), (1, 4), False).tolist() == [[0.0, 1.0, 3.0, 4.0]]
    assert resized(np.array([[0.0, 3.0]]), (1, 4), True).tolist() == [[0.0, 1.0, 2.0, 3.0]]
