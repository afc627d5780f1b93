"""PyTorch's own gradients are compared with those in float32, after memory has been filled with something else."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pixelwise.machine.facts import computes_bfloat16
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training.dilated import DilatedInFloat32, is_wrong_in_bfloat16
from pixelwise.training.step import autocast

CPU = torch.device("cpu")
fast_bfloat16 = pytest.mark.skipif(not computes_bfloat16(), reason="this processor has no instructions for bfloat16")


def weight(out_channels: int, in_channels: int, kernel: int = 3) -> Tensor:
    return torch.zeros(out_channels, in_channels, kernel, kernel)


def test_which_convolutions_are_wrong_in_bfloat16():
    assert is_wrong_in_bfloat16(weight(32, 1), 2, groups=32)  # depthwise
    assert is_wrong_in_bfloat16(weight(32, 4), [2, 1], groups=8)  # grouped, dilated one way
    assert is_wrong_in_bfloat16(weight(11, 37), (2, 2), groups=1)  # dense, blocks of 16 are not full
    assert is_wrong_in_bfloat16(weight(11, 32), 2, groups=1)
    assert is_wrong_in_bfloat16(weight(32, 37), 2, groups=1)
    assert not is_wrong_in_bfloat16(weight(64, 48), (6, 6), groups=1)
    assert not is_wrong_in_bfloat16(weight(32, 1), 1, groups=32)
    assert not is_wrong_in_bfloat16(weight(11, 37), (1, 1), groups=1)


def fill_free_memory(value: float) -> None:
    """Let what is allocated next begin with `value`, where the C library gives freed blocks out again."""
    blocks = [torch.full((1 << power,), value) for power in range(4, 21) for _ in range(3)]
    del blocks


def gradients(conv: nn.Conv2d, features: Tensor, above: Tensor, dtype: str) -> tuple[Tensor, Tensor, Tensor]:
    """What `autocast` of a recipe makes of the features, and the gradients of features and weights."""
    recipe = apply_overrides(find_recipe("town-demo"), [f"precision.dtype={dtype}"])
    leaf = features.clone(memory_format=torch.preserve_format).requires_grad_()
    conv.zero_grad(set_to_none=True)
    with autocast(recipe, CPU):
        result = conv(leaf)
    result.float().backward(above)
    assert leaf.grad is not None
    assert conv.weight.grad is not None
    return result.detach(), leaf.grad, conv.weight.grad


@fast_bfloat16
@settings(max_examples=30, deadline=None)
@given(
    channels=st.tuples(st.sampled_from([1, 2, 3, 8, 16, 37]), st.sampled_from([1, 2, 11, 16])),
    groups=st.sampled_from([1, 4, 16]),
    kernel=st.sampled_from([(3, 3), (5, 5), (3, 1), (1, 3), (2, 2)]),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.sampled_from([1, 1, 2]),
    size=st.tuples(st.integers(12, 33), st.integers(12, 33)),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_gradients_are_those_of_float32_but_for_rounding(channels, groups, kernel, dilation, stride, size, bias, seed):
    torch.manual_seed(seed)
    into, out = (groups * one for one in channels)
    padding = tuple(apart * (length - 1) // 2 for apart, length in zip(dilation, kernel, strict=True))
    conv = nn.Conv2d(into, out, kernel, stride, padding, dilation, groups, bias=bias)
    conv.to(memory_format=torch.channels_last)
    features = torch.randn(2, into, *size).to(memory_format=torch.channels_last)
    above = torch.randn_like(conv(features))
    expected = gradients(conv, features, above, "float32")
    fill_free_memory(float("nan"))
    found = gradients(conv, features, above, "bfloat16")
    assert found[0].dtype == torch.bfloat16
    for one, other in zip(found, expected, strict=True):
        assert float((one.float() - other).norm()) <= 0.02 * float(other.norm())


@fast_bfloat16
def test_uninitialised_memory_has_no_influence():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 5, padding=4, dilation=2, groups=64, bias=False).to(memory_format=torch.channels_last)
    features = torch.randn(4, 64, 23, 30).to(memory_format=torch.channels_last)
    above = torch.randn(4, 64, 23, 30)
    found = []
    for value in (0.0, float("nan"), 1e3):
        fill_free_memory(value)
        found.append(gradients(conv, features, above, "bfloat16")[2])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_other_functions_and_other_convolutions_are_not_touched():
    features, dense = torch.randn(1, 16, 9, 9), torch.randn(16, 16, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = F.conv2d(features, dense, padding=2, dilation=2), F.linear(features, torch.ones(2, 9))
        with DilatedInFloat32():
            found = F.conv2d(features, dense, padding=2, dilation=2), F.linear(features, torch.ones(2, 9))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_padding_may_be_given_by_name():
    features, depthwise = torch.randn(1, 8, 9, 9), torch.randn(8, 1, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16), DilatedInFloat32():
        found = F.conv2d(features, depthwise, padding="same", dilation=2, groups=8)
    assert torch.equal(found, F.conv2d(features, depthwise, padding=2, dilation=2, groups=8).bfloat16())


@pytest.mark.heavy
def test_a_compiled_network_computes_them_in_float32_too():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 5, padding=4, dilation=2, groups=64, bias=False).to(memory_format=torch.channels_last)
    features = torch.randn(4, 64, 23, 30).to(memory_format=torch.channels_last)
    above = torch.randn(4, 64, 23, 30)
    expected = gradients(conv, features, above, "float32")
    compiled = torch.compile(conv)
    recipe = apply_overrides(find_recipe("town-demo"), ["precision.dtype=bfloat16"])
    conv.zero_grad(set_to_none=True)
    fill_free_memory(float("nan"))
    with autocast(recipe, CPU):
        result = compiled(features)
    result.float().backward(above)
    assert conv.weight.grad is not None
    assert float((conv.weight.grad - expected[2]).norm()) <= 0.02 * float(expected[2].norm())
