"""SegNeXt's key layouts: every key of the authors' and of mmsegmentation's has a place here."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from pixelwise.backbones.mscan import MSCAN, Variant
from pixelwise.checkpoints.encoders.fitting import fit
from pixelwise.checkpoints.importers.sources.segnext import conversion
from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.models.segnext import SegNeXt
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.segnext import SegNeXtSpec

PLACES = {
    "backbone.patch_embed1.proj.4.running_var": "encoder.patch_embed1.proj.4.running_var",
    "backbone.block2.1.mlp.dwconv.dwconv.weight": "encoder.block2.1.mlp.dwconv.weight",
    "backbone.block2.1.mlp.dwconv.bias": "encoder.block2.1.mlp.dwconv.bias",
    "backbone.block3.4.attn.spatial_gating_unit.conv2_1.weight": (
        "encoder.block3.4.attn.spatial_gating_unit.conv2_1.weight"
    ),
    "backbone.block4.0.layer_scale_2": "encoder.block4.0.layer_scale_2",
    "backbone.norm4.bias": "encoder.norm4.bias",
    "decode_head.squeeze.conv.weight": "head.squeeze.conv.weight",
    "decode_head.squeeze.gn.weight": "head.squeeze.norm.weight",
    "decode_head.hamburger.ham_in.conv.bias": "head.hamburger.before.bias",
    "decode_head.hamburger.ham_out.conv.weight": "head.hamburger.after.conv.weight",
    "decode_head.hamburger.ham_out.gn.bias": "head.hamburger.after.norm.bias",
    "decode_head.align.gn.bias": "head.align.norm.bias",
    "decode_head.conv_seg.weight": "head.classifier.weight",
}


@pytest.fixture(scope="module")
def model() -> SegNeXt:
    with torch.device("meta"):
        built = build_model(SegNeXtSpec(), 3)
    assert isinstance(built, SegNeXt)
    return built


def test_keys_find_their_place(model: SegNeXt) -> None:
    state = {**dict.fromkeys(PLACES, torch.zeros(1)), "decode_head.squeeze.conv.weight": torch.zeros(256, 480, 1, 1)}
    found = conversion("segnext", model, state)
    for theirs, ours in PLACES.items():
        place = theirs
        for pattern, replacement in found.rules:
            place = re.sub(pattern, replacement, place)
        assert place == ours
        assert ours in model.state_dict()
    assert found.classifiers[0] == ("decode_head.conv_seg.weight", 0)
    # No file has the bases from which evaluation begins: the originals draw them.
    assert [key for key in model.state_dict() if key.startswith(found.optional)] == [
        "head.hamburger.factorisation.bases"
    ]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"patch_embed1.proj.0.weight": torch.zeros(1)}, "not the weights of a SegNeXt; first keys: patch_embed1"),
        ({}, "first keys: none"),
        (
            {
                "backbone.patch_embed1.proj.0.weight": torch.zeros(1),
                "decode_head.squeeze.conv.weight": torch.zeros(512, 480, 1, 1),
            },
            "512 channels, the model's head 256",
        ),
    ],
)
def test_weights_of_other_networks_are_refused(model: SegNeXt, state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as refused:
        conversion("mmsegmentation", model, state)
    assert refused.value.code == "K402"


def test_other_families_are_a_mistake_of_the_caller() -> None:
    with torch.device("meta"), pytest.raises(TypeError, match="expected a SegNeXt"):
        conversion("segnext", build_model(FCNSpec(encoder="resnet18"), 3), {})


def test_weights_of_the_encoder_fit_in_both_layouts() -> None:
    encoder = MSCAN("small", variant=Variant((8, 8, 8, 8), (1, 2, 1, 1)))
    theirs = {key.replace(".mlp.dwconv.", ".mlp.dwconv.dwconv."): value for key, value in encoder.state_dict().items()}
    theirs["head.weight"] = torch.zeros(1000, 8)
    assert theirs.keys() != encoder.state_dict().keys()
    pretrained = [key for key in encoder.state_dict() if not key.endswith("num_batches_tracked")]

    found = fit(encoder, theirs)
    assert list(found.tensors) == pretrained
    assert found.notes == ("the names of SegNeXt's authors were translated",)
    plain = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    assert list(fit(encoder, plain).tensors) == pretrained
