from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pixelwise.layers import pooling
from pixelwise.layers.pooling import grid_means, window_means


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (6, 6), (13, 4)])
@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (6, 6)])
def test_matrices_give_the_means_of_the_kernel(size: tuple[int, int], grid: tuple[int, int]) -> None:
    features = torch.randn(2, 3, *size)

    rows, columns = (pooling._adaptive(*pair, features) for pair in zip(size, grid, strict=True))

    assert torch.allclose(pooling._products(rows, features, columns), F.adaptive_avg_pool2d(features, grid), atol=1e-6)


def test_a_matrix_averages_the_cells_it_covers() -> None:
    # Five positions in two cells: 0 to 2 and 2 to 4.
    third = 1 / 3
    assert torch.allclose(
        pooling._adaptive(5, 2, torch.zeros(1)),
        torch.tensor([[third, third, third, 0, 0], [0, 0, third, third, third]]),
    )


@pytest.mark.parametrize(("size", "window"), [((9, 9), (4, 4)), ((10, 7), (10, 5)), ((1, 1), (1, 1))])
def test_matrices_give_the_means_of_windows(size: tuple[int, int], window: tuple[int, int]) -> None:
    features, stride = torch.randn(2, 3, *size), (4, 5)

    rows, columns = (pooling._sliding(*three, features) for three in zip(size, window, stride, strict=True))

    expected = F.avg_pool2d(features, window, stride=stride)
    assert torch.allclose(pooling._products(rows, features, columns), expected, atol=1e-6)


def test_outside_of_an_export_the_kernels_compute() -> None:
    features = torch.randn(1, 2, 9, 11)

    assert torch.equal(grid_means(features, 2, 3), F.adaptive_avg_pool2d(features, (2, 3)))
    assert torch.equal(window_means(features, (3, 4), (2, 2)), F.avg_pool2d(features, (3, 4), stride=(2, 2)))


@pytest.mark.parametrize(("size", "side", "stride"), [((4, 7), 5, 2), ((1, 1), 17, 8), ((12, 9), 9, 4)])
def test_padding_counts_in_the_means_of_an_export_too(
    size: tuple[int, int], side: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = F.avg_pool2d(features, side, stride, padding=side // 2)
    assert torch.equal(window_means(features, (side, side), (stride, stride), padding=side // 2), expected)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    found = window_means(features, (side, side), (stride, stride), padding=side // 2)
    assert torch.allclose(found, expected)
