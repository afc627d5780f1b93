"""What is rounded, and how, on networks of a few operations; whole ones are in test_aware.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.utils._pytree import tree_leaves

from pixelwise.layers.fake_quantization import SCHEMES, FakeQuantization, Rounding
from pixelwise.models.quantization.annotation import annotate, aten, quantizer_of, tensor_of

pytest.importorskip("torchao", reason="pip install 'pixelwise[quantization]'")

SIGNED, UNSIGNED = (-128, 127), (0, 255)


def graph_of(module: nn.Module, *shape: int) -> GraphModule:
    """The graph of a module in training mode, as it is captured for quantization."""
    images = torch.zeros(*(shape or (2, 3, 8, 8)))
    graph = torch.export.export(module.train(), (images,), strict=False).module()
    assert isinstance(graph, GraphModule)
    return graph


def annotated(module: nn.Module, scheme: str = "edgeai-8bit", shape: tuple[int, ...] = ()) -> GraphModule:
    graph = graph_of(module, *shape)
    annotate(graph, SCHEMES[scheme])
    return graph


def node(graph: GraphModule, target: Any, place: int = 0) -> Any:
    """An operation of the graph."""
    return [one for one in graph.graph.nodes if one.target is target][place]


def image(graph: GraphModule) -> Any:
    return next(one for one in graph.graph.nodes if one.op == "placeholder")


def result(graph: GraphModule) -> Any:
    """The operation whose result is the graph's."""
    last = next(one for one in reversed(graph.graph.nodes) if one.op == "output")
    return tree_leaves(last.args[0])[0]


def result_of(one: Any) -> Any:
    """How the result of an operation is rounded; None: it is not."""
    annotation = one.meta.get("quantization_annotation")
    return None if annotation is None else annotation.output_qspec


def integers(specification: Any) -> tuple[int, int] | None:
    return None if specification is None else (specification.quant_min, specification.quant_max)


def rounding(specification: Any) -> Rounding:
    return specification.observer_or_fake_quant_ctr().rounding


class Branches(nn.Module):
    """Two results that are never negative and one that may be, and what is made of them."""

    def __init__(self, combine: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.combine = combine
        self.first, self.second, self.third = (nn.Conv2d(3, 4, 3, padding=1) for _ in range(3))

    def forward(self, images: Tensor) -> Tensor:
        return self.combine(self.first(images).relu(), self.second(images).relu(), self.third(images))


def test_a_convolution_its_normalisation_and_its_rectifier_are_one_operation():
    graph = annotated(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()))
    assert integers(result_of(image(graph))) == SIGNED
    conv = node(graph, aten.conv2d.default)
    assert {place: integers(found) for place, found in enumerate(map(inputs_of(conv).get, conv.args[:2]))} == {
        0: SIGNED,
        1: SIGNED,
    }
    assert result_of(conv) is None
    assert result_of(node(graph, aten.batch_norm.default)) is None
    assert integers(result_of(result(graph))) == UNSIGNED


def inputs_of(one: Any) -> dict[Any, Any]:
    """How what goes into an operation is rounded."""
    return one.meta["quantization_annotation"].input_qspec_map


@pytest.mark.parametrize(
    ("rectifier", "expected"),
    [
        (nn.ReLU(), UNSIGNED),
        (nn.ReLU(inplace=True), UNSIGNED),
        (nn.ReLU6(), UNSIGNED),
        (nn.ReLU6(inplace=True), UNSIGNED),
        (nn.Identity(), SIGNED),
    ],
)
def test_the_result_of_an_operation_is_that_of_its_rectifier(rectifier: nn.Module, expected: tuple[int, int]):
    graph = annotated(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), rectifier))
    assert integers(result_of(result(graph))) == expected
    assert integers(result_of(node(graph, aten.conv2d.default))) is None


@pytest.mark.parametrize("gate", [nn.Sigmoid(), nn.Hardsigmoid()])
def test_a_gate_is_an_operation_of_its_own_with_a_result_that_is_never_negative(gate: nn.Module):
    graph = annotated(nn.Sequential(nn.Conv2d(3, 4, 1), gate, nn.Conv2d(4, 2, 1)))
    first, second = node(graph, aten.conv2d.default), node(graph, aten.conv2d.default, 1)
    assert integers(result_of(first)) == SIGNED
    assert integers(inputs_of(second)[second.args[0]]) == UNSIGNED


def test_a_result_that_two_operations_read_ends_where_they_part():
    graph = annotated(Branches(lambda a, b, c: c + c.relu()))
    third = node(graph, aten.conv2d.default, -1)
    assert integers(result_of(third)) == SIGNED
    assert result_of(next(one for one in third.users if one.target is aten.relu.default)) is None
    assert integers(result_of(result(graph))) == SIGNED


COMBINATIONS: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], tuple[int, int] | None]] = {
    "sum": (lambda a, b, c: a + b, UNSIGNED),
    "sum with what may be negative": (lambda a, b, c: a + c, SIGNED),
    "sum the other way round": (lambda a, b, c: c + a, SIGNED),
    "sum of sums": (lambda a, b, c: (a + b) + a, UNSIGNED),
    "sum in place": (lambda a, b, c: a.add_(b), UNSIGNED),
    "sum with a number": (lambda a, b, c: a + 1.0, SIGNED),
    "rectified sum": (lambda a, b, c: (a + c).relu(), UNSIGNED),
    "product with a gate": (lambda a, b, c: a * c.sigmoid(), UNSIGNED),
    "product": (lambda a, b, c: a * c, SIGNED),
    "joined": (lambda a, b, c: torch.cat([a, b], 1), UNSIGNED),
    "joined with what may be negative": (lambda a, b, c: torch.cat([a, c], 1), SIGNED),
    "resized": (lambda a, b, c: F.interpolate(a, (16, 16), mode="bilinear"), UNSIGNED),
    "resized to nearest": (lambda a, b, c: F.interpolate(c, (16, 16), mode="nearest"), SIGNED),
    "largest": (lambda a, b, c: F.max_pool2d(a, 2), UNSIGNED),
    "average": (lambda a, b, c: F.avg_pool2d(c, 2), SIGNED),
    "average of all": (lambda a, b, c: F.adaptive_avg_pool2d(a, 1), UNSIGNED),
    "mean": (lambda a, b, c: c.mean((2, 3), keepdim=True), SIGNED),
    "after dropout": (lambda a, b, c: F.dropout(a) + b, UNSIGNED),
    "resized sum": (lambda a, b, c: F.max_pool2d(a + c, 2), SIGNED),
    "normalised once more": (lambda a, b, c: F.max_pool2d(F.batch_norm(a, None, None, training=True), 2), SIGNED),
    "difference": (lambda a, b, c: a - b, None),
    "sum that is no map": (lambda a, b, c: a.flatten(1) + b.flatten(1), None),
    "pooled and no map": (lambda a, b, c: a.mean((2, 3)), None),
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_results_are_unsigned_where_they_are_made_of_what_is_never_negative(name: str):
    combine, expected = COMBINATIONS[name]
    assert integers(result_of(result(annotated(Branches(combine))))) == expected


def test_where_there_is_a_zero_point_every_result_is_unsigned_or_none_is():
    for scheme, expected in (("x86-8bit", UNSIGNED), ("xnnpack-8bit", SIGNED)):
        for combine in (lambda a, b, c: a + b, lambda a, b, c: a + c):
            graph = annotated(Branches(combine), scheme)
            found = result_of(result(graph))
            assert integers(found) == integers(result_of(image(graph))) == expected
            assert (rounding(found).symmetric, rounding(found).power_of_two, rounding(found).shrink) == (
                False,
                False,
                0,
            )


def test_edgeais_activations_are_symmetric_powers_of_two_without_their_outermost_values():
    found = rounding(result_of(image(annotated(nn.Conv2d(3, 4, 1)))))
    scheme = SCHEMES["edgeai-8bit"]
    assert (found.of, found.low, found.high, found.channels) == ("activations", -128, 127, 1)
    assert (found.symmetric, found.power_of_two, found.shrink) == (True, True, scheme.shrink)


@pytest.mark.parametrize(
    ("scheme", "layer", "limits", "channels"),
    [
        ("edgeai-8bit", nn.Conv2d(3, 4, 1), (-128, 127), 1),
        ("x86-8bit", nn.Conv2d(3, 4, 1), (-63, 63), 4),
        ("xnnpack-8bit", nn.Conv2d(3, 4, 1), (-127, 127), 4),
        ("x86-8bit", nn.Conv2d(3, 1, 1), (-63, 63), 1),
        ("x86-8bit", nn.Linear(8, 5), (-63, 63), 5),
        ("x86-8bit", nn.ConvTranspose2d(3, 4, 2), (-63, 63), 1),
    ],
)
def test_weights_have_a_scale_for_each_output_channel_where_the_scheme_says_so(
    scheme: str, layer: nn.Module, limits: tuple[int, int], channels: int
):
    graph = annotated(layer, scheme)
    weighted = result(graph)
    found = inputs_of(weighted)[weighted.args[1]]
    assert integers(found) == limits
    assert (rounding(found).of, rounding(found).channels) == ("weights", channels)
    assert rounding(found).power_of_two == (scheme == "edgeai-8bit")
    assert found.ch_axis == (0 if channels > 1 else None)
    assert found.qscheme == (torch.per_channel_symmetric if channels > 1 else torch.per_tensor_affine)


def test_what_goes_into_a_convolution_is_rounded_as_where_it_was_made():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Dropout(0.5), nn.Dropout2d(0.5), nn.Conv2d(4, 2, 1))
    graph = annotated(module)
    last = node(graph, aten.conv2d.default, 1)
    assert inputs_of(last)[last.args[0]] is result_of(node(graph, aten.relu.default))
    assert integers(inputs_of(last)[last.args[0]]) == UNSIGNED


def test_with_one_scale_what_is_joined_is_rounded_as_the_first_of_it():
    graph = annotated(Branches(lambda a, b, c: torch.cat([a, b, c], 1)), "xnnpack-8bit")
    joined = node(graph, aten.cat.default)
    first, second, third = joined.args[0]
    given = inputs_of(joined)
    assert given[first] is result_of(first)
    for shared in (given[second], given[third], result_of(joined)):
        assert shared.edge_or_node == (first, joined)


def test_with_one_scale_what_is_joined_with_itself_is_rounded_once():
    graph = annotated(Branches(lambda a, b, c: torch.cat([a, a], 1)), "xnnpack-8bit")
    joined = node(graph, aten.cat.default)
    (first, again) = joined.args[0]
    assert first is again
    assert inputs_of(joined) == {first: result_of(first)}


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)])
def test_with_one_scale_pooling_gives_what_it_gets(pool: nn.Module):
    graph = annotated(nn.Sequential(nn.Conv2d(3, 4, 1), pool), "xnnpack-8bit")
    conv, pooled = node(graph, aten.conv2d.default), result(graph)
    assert result_of(pooled).edge_or_node == (conv, pooled)
    assert inputs_of(pooled) == {conv: result_of(conv)}
    own = annotated(nn.Sequential(nn.Conv2d(3, 4, 1), pool), "x86-8bit")
    assert integers(result_of(result(own))) == UNSIGNED


def test_behind_dropout_a_convolution_gets_the_scale_that_was_shared():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2), nn.Dropout(0.5), nn.Conv2d(4, 2, 1))
    graph = annotated(module, "xnnpack-8bit")
    last, pooled = node(graph, aten.conv2d.default, 1), node(graph, aten.max_pool2d.default)
    assert inputs_of(last)[last.args[0]] is result_of(pooled)


def test_equal_roundings_are_one_object_and_others_are_not():
    graph = annotated(Branches(lambda a, b, c: torch.cat([a, b], 1) * torch.cat([c, c], 1)))
    first, second, third = (node(graph, aten.conv2d.default, place) for place in range(3))
    assert result_of(next(iter(first.users))) is result_of(next(iter(second.users)))
    assert result_of(third) is not result_of(next(iter(first.users)))


def test_every_annotation_is_marked_as_done():
    graph = annotated(Branches(lambda a, b, c: a + b))
    found = [one.meta.get("quantization_annotation") for one in graph.graph.nodes]
    assert [one._annotated for one in found if one is not None] == [True] * sum(one is not None for one in found)
    # The image, three convolutions, two rectifiers and the sum; weights, biases and the output have none.
    assert sum(one is not None for one in found) == 7


def test_a_rounding_is_computed_as_it_is_described():
    graph = annotated(nn.Conv2d(3, 4, 1))
    conv = result(graph)
    module = inputs_of(conv)[conv.args[1]].observer_or_fake_quant_ctr()
    assert isinstance(module, FakeQuantization)
    assert (module.dtype, module.quant_min, module.quant_max, module.ch_axis) == (torch.int8, -128, 127, -1)
    # The largest is 1, so that a step is 1/128; 0.3 is 38.4 steps.
    assert module(torch.tensor([-1.0, 0.3, 0.5])).tolist() == [-1.0, 38 / 128, 0.5]
    scale, zero_point = module.calculate_qparams()  # type: ignore[operator]
    assert (scale.tolist(), zero_point.tolist()) == ([1 / 128], [0])


def test_the_type_of_the_integers_is_that_of_their_range():
    graph = annotated(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), "x86-8bit")
    unsigned = result_of(result(graph)).observer_or_fake_quant_ctr()
    conv = node(graph, aten.conv2d.default)
    weights = inputs_of(conv)[conv.args[1]].observer_or_fake_quant_ctr()
    assert (unsigned.dtype, unsigned.qscheme) == (torch.uint8, torch.per_tensor_affine)
    assert (weights.dtype, weights.qscheme, weights.ch_axis) == (torch.int8, torch.per_channel_symmetric, 0)
    assert result_of(result(graph)).dtype == torch.uint8


def test_torchaos_quantizer_annotates_by_the_scheme():
    graph = graph_of(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))
    quantizer = quantizer_of(SCHEMES["x86-8bit"])
    assert quantizer.annotate(graph) is graph
    quantizer.validate(graph)
    assert integers(result_of(image(graph))) == UNSIGNED


def test_a_tensor_is_found_by_the_node_that_reads_it():
    layers = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))
    graph = graph_of(layers)
    conv, norm = node(graph, aten.conv2d.default), node(graph, aten.batch_norm.default)
    assert torch.equal(tensor_of(graph, conv.args[1]), layers[0].weight)  # type: ignore[arg-type]
    assert tensor_of(graph, norm.args[3]).tolist() == [0.0] * 4
    assert tensor_of(graph, norm.args[4]).tolist() == [1.0] * 4
