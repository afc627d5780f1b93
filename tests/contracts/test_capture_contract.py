"""Graphs that are captured for quantization-aware training compute what their network computes, at any image size."""

from __future__ import annotations

import pytest
import torch
from contracts.test_models_contract import SMALLEST, SPECS

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.quantization.aware import captured, set_mode
from pixelwise.recipes.families.unet import UNetSpec

SIZES = ((96, 96), (65, 97), (33, 161))
"""Height and width: multiples of 32, and others whose maps are rounded up in both ways; none is the captured one."""
UNET = UNetSpec(encoder="resnet10t", decoder_channels=(8, 8, 8))


LARGE = 500
"""Sides of images from which on the graphs of networks that pool maps of stride 64 are made, see `traced_size`."""


def compared(network: torch.nn.Module, graph: torch.nn.Module) -> None:
    """Compare the main logits in evaluation, of images that are no smaller than the graph is made for."""
    network.eval()
    traced = getattr(network, "traced_size", (1, 1))
    least = traced if traced[0] > LARGE else (0, 0)
    for size in SIZES:
        size = (least[0] + size[0], least[1] + size[1])
        images = torch.randn(2, 3, *size)
        with torch.no_grad():
            expected, found = network.head_logits(images)[0], graph(images)[0]  # type: ignore[operator]
        assert found.shape == expected.shape, size
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.heavy
def test_a_decoder_that_doubles_maps_accepts_odd_ones():
    # Where maps are doubled or one less, the network takes a shorter way, which the graph must not fix for one size.
    torch.manual_seed(0)
    network = build_model(UNET, 3)
    graph = captured(network)
    set_mode(graph, False)
    compared(network, graph)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_the_graph_of_every_family_accepts_any_size(name: str):
    torch.manual_seed(0)
    network = build_model(SPECS[name], 3)
    try:
        graph = captured(network)
    except RecipeError as refused:
        if refused.code != "R219":
            raise
        return  # said before training begins, with another way to int8
    set_mode(graph, False)
    compared(network, graph)
