from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pixelwise.layers.unpooling import (
    max_pool_overlapping,
    max_pool_separate,
    max_unpool_overlapping,
    max_unpool_separate,
)

PAIRS = {
    "overlapping": (max_pool_overlapping, max_unpool_overlapping),
    "separate": (max_pool_separate, max_unpool_separate),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sequential(features: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """PyTorch's own loop, in raster order on one thread."""
    return F.max_unpool2d(features, indices, kernel_size=2, stride=2, output_size=size)


def test_separate_windows_give_maxima_their_places_and_zeros() -> None:
    features = torch.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 7.0, 6.0]]]])

    pooled, indices = max_pool_separate(features)
    unpooled = max_unpool_separate(pooled * 10, indices, (2, 4))

    assert pooled.tolist() == [[[[5.0, 7.0]]]]
    assert indices.tolist() == [[[[1, 6]]]]
    assert unpooled.tolist() == [[[[0.0, 50.0, 0.0, 0.0], [0.0, 0.0, 70.0, 0.0]]]]


def test_an_odd_last_row_and_column_stay_zero_in_separate_windows() -> None:
    features = torch.arange(1.0, 10.0).view(1, 1, 3, 3)

    pooled, indices = max_pool_separate(features)

    assert max_unpool_separate(pooled, indices, (3, 3)).tolist() == [[[[0, 0, 0], [0, 5.0, 0], [0, 0, 0]]]]


def test_the_last_of_four_windows_with_the_same_maximum_wins() -> None:
    # The centre (row 1, column 1) of a 3x3 map lies in all four windows.
    features = torch.zeros(1, 1, 3, 3)
    features[0, 0, 1, 1] = 9.0

    pooled, indices = max_pool_overlapping(features)
    unpooled = max_unpool_overlapping(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), indices, (3, 3))

    assert pooled.tolist() == [[[[9.0, 9.0], [9.0, 9.0]]]]
    assert indices.tolist() == [[[[4, 4], [4, 4]]]]
    assert unpooled.tolist() == [[[[0, 0, 0], [0, 4.0, 0], [0, 0, 0]]]]


def test_every_window_gets_the_gradient_of_its_place_as_in_the_original() -> None:
    indices = torch.tensor([[[[4, 4], [4, 8]]]])
    features = torch.ones(1, 1, 2, 2, requires_grad=True)
    slopes = torch.arange(9.0).view(1, 1, 3, 3)

    (max_unpool_overlapping(features, indices, (3, 3)) * slopes).sum().backward()

    assert features.grad is not None
    assert features.grad.tolist() == [[[[4.0, 4.0], [4.0, 8.0]]]]


@pytest.mark.parametrize("kind", PAIRS)
@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(2, 13),
    width=st.integers(2, 13),
    levels=st.integers(1, 1000),
    seed=st.integers(0, 2**31),
    last=st.booleans(),
)
def test_forward_and_gradient_equal_the_sequential_loop(
    kind: str, height: int, width: int, levels: int, seed: int, last: bool
) -> None:
    # Few levels make ties, within windows and between them.
    pool, unpool = PAIRS[kind]
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(levels, (2, 3, height, width), generator=generator).float()
    pooled, indices = pool(image.contiguous(memory_format=torch.channels_last) if last else image)
    values = torch.randn(pooled.shape, generator=generator)
    slopes = torch.randn(image.shape, generator=generator)
    ours, theirs = values.clone().requires_grad_(), values.clone().requires_grad_()

    result, expected = unpool(ours, indices, (height, width)), sequential(theirs, indices.contiguous(), (height, width))
    # A map of one pixel is in both formats.
    assert result.is_contiguous(memory_format=torch.channels_last) or indices.is_contiguous()
    (result * slopes).sum().backward()
    (expected * slopes).sum().backward()

    assert torch.equal(result, expected)
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("kind", PAIRS)
def test_two_threads_give_the_bits_of_one_and_of_the_sequential_loop(kind: str) -> None:
    # Large enough to be split between threads, and full of shared maxima.
    pool, unpool = PAIRS[kind]
    torch.manual_seed(0)
    image = torch.randint(50, (2, 8, 128, 128)).float()
    pooled, indices = pool(image)
    values, slopes = torch.randn_like(pooled), torch.randn_like(image)

    def run(threads: int) -> tuple[Tensor, Tensor]:
        torch.set_num_threads(threads)
        leaf = values.clone().requires_grad_()
        unpooled = unpool(leaf, indices, (128, 128))
        return unpooled.detach(), torch.autograd.grad((unpooled * slopes).sum(), leaf)[0]

    one, two = run(1), run(2)

    torch.set_num_threads(1)
    assert torch.equal(one[0], sequential(values, indices, (128, 128)))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])


class PoolAndUnpool(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.pool, self.unpool = PAIRS[kind]
        self.conv = nn.Conv2d(2, 2, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        pooled, indices = self.pool(self.conv(images))
        height, width = images.shape[-2:]
        return self.unpool(pooled * 2, indices, (height, width))


@pytest.mark.parametrize("kind", PAIRS)
def test_bfloat16_autocast_runs_forward_and_backward(kind: str) -> None:
    network = PoolAndUnpool(kind)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        unpooled = network(torch.randn(1, 2, 8, 8))
    unpooled.float().sum().backward()

    assert unpooled.dtype == torch.bfloat16
    assert network.conv.weight.grad is not None
    assert network.conv.weight.grad.isfinite().all()
