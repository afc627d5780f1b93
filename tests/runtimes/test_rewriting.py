from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pixelwise.runtimes.rewriting import DECOMPOSITIONS, OF_BOOLS, max_pool_with_indices, transposed_convolution


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(3, 2, 1, 1), (2, 2, 0, 1), (2, (), 0, 1), (3, 1, 1, 2), ((2, 3), (1, 2), (1, 0), (1, 2))],
)
def test_maxima_and_their_places_are_those_of_pytorch(kernel, stride, padding, dilation) -> None:
    # Few different values, so that most windows have several equal maxima, of which the first counts.
    features = torch.randn(2, 3, 13, 18, generator=torch.Generator().manual_seed(0)).mul(2).round()

    expected = F.max_pool2d(features, kernel, stride or None, padding, dilation, return_indices=True)
    found = max_pool_with_indices(features, kernel, stride, padding, dilation)

    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_a_pooling_that_rounds_up_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds its size up"):
        max_pool_with_indices(torch.zeros(1, 1, 5, 5), 2, 2, 0, 1, True)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding", "groups", "dilation"),
    [(3, 2, 1, 1, 1, 1), (3, 2, 1, 0, 1, 1), (4, 2, 1, 0, 2, 1), (2, 2, 0, 0, 1, 1), (3, (2, 3), (1, 2), (0, 1), 1, 2)],
)
def test_a_cropped_convolution_is_the_padded_one(kernel, stride, padding, output_padding, groups, dilation) -> None:
    draw = torch.Generator().manual_seed(0)
    features, bias = torch.randn(2, 4, 7, 9, generator=draw), torch.randn(6, generator=draw)
    weight = torch.randn(4, 6 // groups, kernel, kernel, generator=draw)

    expected = F.conv_transpose2d(features, weight, bias, stride, padding, output_padding, groups, dilation)
    found = transposed_convolution(features, weight, bias, stride, padding, output_padding, groups, dilation)

    torch.testing.assert_close(found, expected)


def test_a_result_beyond_the_full_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"output padding \(1, 1\), which is more than its padding \(0, 0\)"):
        transposed_convolution(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 3, 3), None, 2, 0, 1)


def test_operators_of_bools_become_logical_operations_and_those_of_integers_stay() -> None:
    class Operators(torch.nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return first.__or__(second), first.__and__(second), first.__xor__(second)

    bools = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    program = torch.export.export(Operators(), bools).run_decompositions(OF_BOOLS)
    called = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert called == ["aten.logical_or.default", "aten.logical_and.default", "aten.logical_xor.default"]
    assert [one.tolist() for one in program.module()(*bools)] == [
        [True, True, True, False], [True, False, False, False], [False, True, True, False],
    ]  # fmt: skip
    numbers = torch.tensor([5, 6]), torch.tensor([3, 12])
    program = torch.export.export(Operators(), numbers).run_decompositions(OF_BOOLS)
    assert [one.tolist() for one in program.module()(*numbers)] == [[7, 14], [1, 4], [6, 10]]


def test_a_captured_graph_has_neither_padding_nor_the_pooling_afterwards() -> None:
    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = torch.nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1, output_padding=1)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            maxima, places = F.max_pool2d(features, 2, 2, return_indices=True)
            return self.up(maxima) + F.interpolate(places.float(), scale_factor=2)

    network, features = Both().eval(), torch.randn(1, 2, 8, 12)
    program = torch.export.export(network, (features,)).run_decompositions(DECOMPOSITIONS)

    targets = [node.target for node in program.graph.nodes]
    assert torch.ops.aten.max_pool2d_with_indices.default not in targets
    assert torch.ops.aten.conv_transpose2d.input not in targets
    (turned,) = (node for node in program.graph.nodes if node.target is torch.ops.aten.convolution.default)
    assert list(turned.args[4]) == [0, 0]
    torch.testing.assert_close(program.module()(features), network(features))
