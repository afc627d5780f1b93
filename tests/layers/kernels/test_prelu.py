from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pixelwise.layers.kernels import prelu
from pixelwise.layers.kernels.prelu import PReLU

SHAPES = [(2, 3, 5, 7), (1, 1, 1, 1), (3, 4, 2, 1), (4, 6), (5,), (1, 2, 3, 4, 5), (0, 3, 2, 2)]
SLOPES = [0.25, 1.0, 1.5, 1e-3, 1e-9, 0.0, -0.3]


def layer(slope: float, dtype: torch.dtype) -> PReLU:
    made = PReLU().to(dtype)
    with torch.no_grad():
        made.weight.fill_(slope)
    return made


def learnt(activation: nn.Module, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output, gradient of the input and gradient of the slope, after a layer that does not need its own output."""
    given = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = activation(given + 0)
    y.backward(gradient)
    assert given.grad is not None
    assert activation.weight.grad is not None
    return y.detach(), given.grad, activation.weight.grad


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    shape=st.sampled_from(SHAPES),
    slope=st.sampled_from(SLOPES),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    last=st.booleans(),
)
def test_values_and_gradients_are_those_of_pytorch(
    seed: int, shape: tuple[int, ...], slope: float, dtype: torch.dtype, last: bool
):
    torch.manual_seed(seed)
    x, gradient = (torch.randn(shape, dtype=dtype) for _ in range(2))
    x[torch.rand(shape) < 0.2] = 0
    if last and x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    ours = layer(slope, dtype)
    theirs = nn.PReLU(dtype=dtype)
    theirs.load_state_dict(ours.state_dict())

    found, expected = learnt(ours, x, gradient), learnt(theirs, x, gradient)

    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert found[2].shape == (1,)
    # A sum of at most 120 products: its rounding is far below this.
    torch.testing.assert_close(found[2], expected[2], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("slope", SLOPES)
def test_gradients_are_those_of_finite_differences(slope: float):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    x = (x + 0.1 * x.sign()).requires_grad_()  # away from the kink
    ours = layer(slope, torch.float64)

    def run(features: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(ours, {"weight": weight}, (features * 1,))

    assert torch.autograd.gradcheck(run, (x, ours.weight.detach().clone().requires_grad_()))


def test_training_writes_over_the_features_and_nothing_else_does():
    ours = layer(0.25, torch.float32)
    before = torch.tensor([[-4.0, 2.0]])
    features = before.clone().requires_grad_() + 0
    assert ours(features).data_ptr() == features.data_ptr()
    assert features.tolist() == [[-1.0, 2.0]]

    for leaf in (before.clone(), before.clone().requires_grad_()):
        assert ours(leaf).tolist() == [[-1.0, 2.0]]
        assert leaf.tolist() == before.tolist()
    with torch.no_grad():
        features = before.clone().requires_grad_() + 0
        ours(features)
    assert features.tolist() == before.tolist()


def test_features_that_another_gradient_needs_are_refused_and_not_wrong():
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        layer(0.25, torch.float32)(torch.randn(3, requires_grad=True).tanh()).sum().backward()


def test_a_frozen_slope_gets_no_gradient():
    ours = layer(0.5, torch.float32).requires_grad_(False)
    x = torch.tensor([-2.0, 3.0], requires_grad=True)
    ours(x + 0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.5, 1.0]
    assert ours.weight.grad is None


def test_parameters_and_graphs_are_those_of_the_plain_module():
    ours = PReLU()
    assert list(ours.state_dict()) == list(nn.PReLU().state_dict())
    assert ours.weight.tolist() == nn.PReLU().weight.tolist()
    program = torch.export.export(copy.deepcopy(ours), (torch.randn(2, 3),))
    assert [node.target for node in program.graph.nodes if node.op == "call_function"] == [torch.ops.aten.prelu.default]


def test_autocast_rounds_the_slope_as_for_pytorch_and_sums_in_float32():
    torch.manual_seed(0)
    x, gradient = torch.randn(4, 3, 9, 9).bfloat16(), torch.randn(4, 3, 9, 9).bfloat16()
    ours, theirs = layer(0.3, torch.float32), nn.PReLU(init=0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = (learnt(activation, x, gradient) for activation in (ours, theirs))

    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert found[2].dtype == torch.float32
    # Products of half precision, 972 of them, each rounded to one part in 256.
    exact = (x.double().clamp_max(0) * gradient.double()).sum()
    assert abs(float(found[2] - exact)) < 0.5
    assert abs(float(expected[2] - exact)) < 0.5


def test_weights_of_half_precision_go_the_plain_way():
    ours = layer(0.25, torch.bfloat16)
    features = torch.randn(4, dtype=torch.bfloat16, requires_grad=True) + 0
    kept = features.detach().clone()
    assert torch.equal(ours(features), F.prelu(kept, ours.weight))
    assert torch.equal(features, kept)


def test_many_values_are_summed_in_parts(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    x, gradient = torch.randn(7, 2, 3, 3), torch.randn(7, 2, 3, 3)
    whole = learnt(layer(0.25, torch.float32), x, gradient)
    monkeypatch.setattr(prelu, "PART", 40)
    parts = learnt(layer(0.25, torch.float32), x, gradient)
    torch.testing.assert_close(parts[2], whole[2])
    assert torch.equal(parts[1], whole[1])
