"""EfficientViT-Seg's key layout: every key of the authors' has a place here, in both series."""

from __future__ import annotations

import re

import pytest
import torch

from pixelwise.checkpoints.importers.sources.efficientvit import conversion
from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.recipes.families.efficientvit import EfficientViTSegSpec


def test_weights_of_a_classifier_of_images_are_refused() -> None:
    with torch.device("meta"):
        model = build_model(EfficientViTSegSpec(), 3)
    with pytest.raises(CheckpointError) as refused:
        conversion("efficientvit", model, {"backbone.input_stem.op_list.0.conv.weight": torch.zeros(1)})
    assert refused.value.code == "K402"


def test_keys_of_a_large_network_find_their_place() -> None:
    spec = EfficientViTSegSpec(encoder="efficientvit_l1", series="l", depth=3, expansion=1, final_expansion=0)
    with torch.device("meta"):
        model = build_model(spec, 3)
    places = {
        "backbone.stages.0.op_list.1.main.conv1.conv.weight": "encoder.network.stem_res0.main.conv1.conv.weight",
        "backbone.stages.4.op_list.2.context_module.main.aggreg.0.1.weight": (
            "encoder.network.stages_3.blocks.2.context_module.main.aggreg.0.1.weight"
        ),
        "head.input_ops.0.op_list.0.conv.weight": "projections.0.conv.weight",
        "head.input_ops.2.norm.bias": "projections.2.norm.bias",
        "head.middle.op_list.1.main.point_conv.norm.weight": "blocks.1.layers.1.norm.weight",
        "head.output_ops.0.op_list.0.conv.weight": "classifier.weight",
    }
    found = conversion("efficientvit", model, {key: torch.zeros(1) for key in places})
    assert found.classifiers[0] == ("head.output_ops.0.op_list.0.conv.weight", 0)
    for theirs, ours in places.items():
        place = theirs
        for pattern, replacement in found.rules:
            place = re.sub(pattern, replacement, place)
        assert place == ours
        assert ours in model.state_dict()
