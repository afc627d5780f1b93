"""Imported weights of PIDNet and DDRNet, under the authors' names.

That the names mean the right tensors is what tests/write_two_branch_originals.py shows: it loads the authors' networks
by the same rules.
"""

from __future__ import annotations

import re

import pytest
import torch

from pixelwise.checkpoints.importers.conversions import Conversion
from pixelwise.checkpoints.importers.sources.dual_resolution import RULES, conversion
from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.recipes.families.real_time.ddrnet import DDRNetSpec
from pixelwise.recipes.families.real_time.pidnet import PIDNetSpec


@pytest.mark.parametrize(
    ("family", "theirs", "ours"),
    [
        ("pidnet", "conv1.3.weight", "stem.1.conv.weight"),
        ("pidnet", "model.layer3.0.downsample.1.bias", "stage16.0.shortcut.1.bias"),
        ("pidnet", "layer5.1.bn3.weight", "stage64.1.third.1.weight"),
        ("pidnet", "layer4_.1.conv2.weight", "details.1.1.second.0.weight"),
        ("pidnet", "layer4_d.0.conv3.weight", "boundaries.1.third.0.weight"),
        ("pidnet", "layer4_d.conv2.weight", "boundaries.1.second.0.weight"),
        ("pidnet", "pag4.f_y.0.weight", "attention.1.of_context.0.weight"),
        ("pidnet", "spp.scale4.3.weight", "pooling.scales.3.conv.weight"),
        ("pidnet", "spp.scale_process.2.weight", "pooling.mix.conv.weight"),
        ("pidnet", "dfm.conv.0.weight", "fusion.mix.norm.weight"),
        ("pidnet", "seghead_d.conv2.bias", "boundary.classifier.conv.bias"),
        ("ddrnet", "layer5.0.conv1.weight", "stage64.first.0.weight"),
        ("ddrnet", "down4.3.weight", "down.1.2.0.weight"),
        ("ddrnet", "spp.process1.0.bias", "pooling.mix.0.norm.bias"),
        ("ddrnet", "seghead_extra.bn1.bias", "auxiliary.mix.norm.bias"),
    ],
)
def test_keys_are_renamed(family: str, theirs: str, ours: str) -> None:
    key = theirs
    for pattern, replacement in RULES[family]:
        key = re.sub(pattern, replacement, key)
    assert key == ours


def test_weights_of_another_network_are_refused() -> None:
    with torch.device("meta"):
        pidnet, ddrnet = build_model(PIDNetSpec(), 3), build_model(DDRNetSpec(), 3)
    ours = {"final_layer.conv2.weight": None, "dfm.conv_p.0.weight": None}
    assert isinstance(conversion("pidnet", pidnet, ours), Conversion)
    for source, model, state in (
        ("ddrnet", ddrnet, ours),
        ("pidnet", pidnet, {"final_layer.conv2.weight": None}),
        ("pidnet", pidnet, {"conv1.0.weight": None, "dfm.conv_p.0.weight": None}),
    ):
        with pytest.raises(CheckpointError) as caught:
            conversion(source, model, state)
        assert caught.value.code == "K402"


def test_a_whole_run_loses_the_name_of_its_network() -> None:
    with torch.device("meta"):
        pidnet = build_model(PIDNetSpec(), 3)
    found = conversion("pidnet", pidnet, {"model.final_layer.conv2.weight": None, "model.dfm.conv_p.0.weight": None})
    assert found.classifiers[0] == ("model.final_layer.conv2.weight", 0)
