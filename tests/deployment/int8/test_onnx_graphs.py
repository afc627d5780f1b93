from __future__ import annotations

import torch
from deployment.int8.graphs_by_hand import chain
from torch import nn

from pixelwise.deployment.int8.onnx_graphs import last_layers, layer_nodes, outside_layers, with_inputs


def test_the_last_layers_are_those_before_the_result() -> None:
    assert last_layers(chain()) == {"conv2"}


def test_what_is_before_the_first_and_after_the_last_layers_is_outside_but_not_what_measures_sizes() -> None:
    assert outside_layers(chain()) == {"scale", "conv2", "resize"}


def test_a_layer_takes_with_it_what_leads_to_it_from_the_layers_before() -> None:
    assert with_inputs(chain(), {"conv2"}) == {"conv2", "relu"}
    assert with_inputs(chain(), {"conv1"}) == {"conv1", "scale"}
    assert with_inputs(chain(), ()) == set()


def test_layers_are_found_by_the_names_of_their_weights() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

    assert layer_nodes(chain(), Network()) == {"conv1": "conv1", "conv2": "conv2"}


def test_linear_layers_are_found_by_their_turned_weights() -> None:
    from onnx import helper, numpy_helper

    linear = nn.Linear(2, 3)
    linear.weight.data = torch.arange(6, dtype=torch.float32).reshape(3, 2)
    turned = numpy_helper.from_array(linear.weight.detach().T.contiguous().numpy(), "val_7")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "val_7"], ["y"], "product")], "g", [], [], [turned])
    assert layer_nodes(helper.make_model(graph), nn.Sequential(linear)) == {"0": "product"}
