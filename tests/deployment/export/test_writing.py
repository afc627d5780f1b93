"""Every family as a dynamic ONNX graph, and errors for networks that cannot be exported."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_sizes import parameters
from torch import Tensor, nn

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import describe, sealed
from pixelwise.deployment.export.sources import open_source
from pixelwise.deployment.export.verification import compare, network_input
from pixelwise.deployment.export.writing import write_artefact
from pixelwise.errors import CheckpointError
from pixelwise.models.enet import ENet
from pixelwise.prediction.sizes import RESIZE
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.lite import DeepLabV3LiteSpec, FPNLiteSpec
from pixelwise.recipes.families.lraspp import LRASPPSpec
from pixelwise.recipes.families.pspnet import PSPNetSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.families.segformer import SegFormerSpec
from pixelwise.runtimes.artefact import load_artefact
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions
from pixelwise.runtimes.sidecar import write_sidecar
from pixelwise.runtimes.targets import find_target
from pixelwise.testing.exporting import distinct_networks, settled

SIZES = ((64, 96), (96, 64), (75, 110), (33, 20))
DISTINCT = (ENetSpec, SegFormerSpec, PSPNetSpec, LRASPPSpec, FPNLiteSpec, DeepLabV3LiteSpec)
"""Families whose pooling, attention or joining depends on the size in a way of their own."""


def one_per_family() -> list[str]:
    cheapest: dict[type, str] = {}
    for name in sorted(distinct_networks(), key=parameters):
        cheapest.setdefault(type(recipe(name).model), name)
    return sorted(cheapest.values())


def families() -> list[Any]:
    """Those with layers that the others lack are tried with the heavy tests, the rest with the longest ones."""
    return [
        pytest.param(name, marks=pytest.mark.heavy if type(recipe(name).model) in DISTINCT else pytest.mark.fuzz)
        for name in one_per_family()
    ]


@pytest.mark.parametrize("name", families())
def test_a_family_runs_in_onnx_runtime_at_any_size(name: str, tmp_path: Path) -> None:
    source = open_source(name, "none", 5)
    network = ExportedNetwork(settled(source.model), GraphOptions(dynamic=True, size=SIZES[0])).eval()

    files = write_artefact(network, find_target("onnx"), tmp_path)

    target = find_target("onnx")
    write_sidecar(sealed(describe(network, source, target), target, files), tmp_path / "model.toml")
    scene = draw_scene(0, 0, SIZES[0])[0]
    images = [RESIZE["antialiased"](scene, size) for size in SIZES]
    artefact = load_artefact(files[0])
    if isinstance(source.model, ENet):
        images = [image for image in images if is_decided(network, image)]
        assert len(images) >= 2
    found = compare(network, artefact, images)
    assert found.images == len(images)
    # Random weights leave many pixels of these few nearly undecided, so a pixel or two may fall to the other side.
    assert found.equal_pixels >= 0.999
    assert found.max_difference is not None
    assert found.logit_range is not None
    assert found.max_difference < 1e-3 * found.logit_range


def is_decided(network: ExportedNetwork, image: np.ndarray) -> bool:
    """Whether PyTorch itself makes the same of an image in float32 and in float64.

    ENet's unpooling puts a value where the largest of four had been; where two of them are equal but for rounding,
    all pixels around depend on which processor computed it, and nothing can be compared with them.
    """
    seen = network_input(network, image)
    with torch.inference_mode():
        one, exact = network(seen), copy.deepcopy(network).double()(seen.double())
    return float((one - exact).abs().max()) < 1e-3 * float(one.max() - one.min())


@torch.library.custom_op("pixelwise_tests::unknown", mutates_args=())
def unknown(features: Tensor) -> Tensor:
    """An operator that no format has."""
    return features.clone()


@unknown.register_fake
def _(features: Tensor) -> Tensor:
    return torch.empty_like(features)


class Unknown(nn.Module):
    """A layer that consists of the unknown operator."""

    def forward(self, features: Tensor) -> Tensor:
        """The same values."""
        return torch.ops.pixelwise_tests.unknown(features)


@pytest.mark.heavy
def test_an_unsupported_operator_is_named_with_its_layer(small_run: Path, tmp_path: Path) -> None:
    model = open_source(str(small_run)).model
    model.classifier = nn.Sequential(model.classifier, Unknown())

    with pytest.raises(CheckpointError, match=r"onnx .* pixelwise_tests\.unknown .*\bmodel\.classifier\.1\b") as caught:
        write_artefact(ExportedNetwork(model, GraphOptions(size=(48, 64))), find_target("onnx"), tmp_path)
    assert caught.value.code == "K461"
    assert list(tmp_path.iterdir()) == []


class Undecided(nn.Module):
    """A layer whose path depends on the values it sees."""

    def forward(self, features: Tensor) -> Tensor:
        """The values, or their negatives."""
        return features if features.sum() > 0 else -features


def test_a_network_that_cannot_be_one_graph_is_said_so(small_run: Path, tmp_path: Path) -> None:
    model = open_source(str(small_run)).model
    model.classifier = nn.Sequential(model.classifier, Undecided())

    with pytest.raises(CheckpointError, match=r"K461.* torch\.export .*: ") as caught:
        write_artefact(ExportedNetwork(model, GraphOptions(size=(48, 64))), find_target("onnx"), tmp_path)
    assert "\n" not in caught.value.message
