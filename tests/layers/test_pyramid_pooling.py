from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pixelwise.layers.pyramid_pooling import PyramidPooling


def levels(pooling: PyramidPooling, features: Tensor) -> Tensor:
    """Input of the fusing convolution."""
    seen: list[Tensor] = []
    pooling.project.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        pooling.eval()(features)
    return seen[0]


def test_the_input_comes_first_then_each_grid() -> None:
    pooling = PyramidPooling(2, 3, (1, 2))
    features = torch.rand(1, 2, 4, 4)

    joined = levels(pooling, features)

    assert joined.shape == (1, 2 + 3 + 3, 4, 4)
    assert torch.equal(joined[:, :2], features)
    whole = joined[:, 2:5]
    assert torch.allclose(whole, whole[..., :1, :1].expand_as(whole))  # one mean for all positions


def test_a_grid_of_two_has_the_means_of_the_quadrants_in_its_corners() -> None:
    pooling = PyramidPooling(1, 1, (2,))
    with torch.no_grad():
        pooling.branches[0].conv.weight.fill_(1.0)  # type: ignore[union-attr]
        pooling.branches[0].norm.eps = 0.0  # type: ignore[union-attr]
    features = torch.arange(16.0).reshape(1, 1, 4, 4)

    grid = levels(pooling, features)[0, 1]

    # Rows 0 1 / 4 5, 2 3 / 6 7, 8 9 / 12 13, 10 11 / 14 15.
    corners = torch.stack((grid[0, 0], grid[0, 3], grid[3, 0], grid[3, 3]))
    assert torch.allclose(corners, torch.tensor([2.5, 4.5, 10.5, 12.5]))


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 5)])
def test_maps_smaller_than_a_grid_keep_their_size(size: tuple[int, int]) -> None:
    with torch.no_grad():
        result = PyramidPooling(2, 3, (1, 2, 3, 6)).eval()(torch.rand(1, 2, *size))

    assert result.shape == (1, 3, *size)
    assert result.isfinite().all()


@pytest.mark.heavy
@pytest.mark.parametrize("size", [(1, 1), (5, 9)])
def test_it_can_be_exported(size: tuple[int, int]) -> None:
    pooling = PyramidPooling(2, 3, (1, 2, 3, 6)).eval()
    features = torch.rand(1, 2, *size)

    exported = torch.export.export(pooling, (features,), strict=False).run_decompositions()

    with torch.no_grad():
        assert torch.allclose(exported.module()(features), pooling(features), atol=1e-6)
