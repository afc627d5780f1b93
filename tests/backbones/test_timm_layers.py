"""Distances counted by hand: one more than the blocks that follow; the stem is one before the first block."""

from __future__ import annotations

import pytest
import timm
import torch

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.building import build_encoder
from pixelwise.backbones.mobilenetv3 import NAME as DILATED
from pixelwise.backbones.tf_xception import TFXception65
from pixelwise.backbones.timm_layers import layers_from_head, original_name
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.families.eomt import EoMTSpec

COUNTED: dict[str, dict[str, int]] = {
    # Two blocks in each of four stages.
    "resnet18": {"conv1": 9, "bn1": 9, "layer1.0": 8, "layer2.0.downsample": 6, "layer2.0": 6, "layer4.1": 1},
    # 3, 4, 6, 3.
    "resnet34": {"conv1": 17, "layer1.0": 16, "layer2.0": 13, "layer3.0": 9, "layer4.0": 3, "layer4.2": 1},
    "resnet50": {"conv1": 17, "layer1.0": 16, "layer2.0": 13, "layer3.0": 9, "layer4.0": 3, "layer4.2": 1},
    "resnet50c": {"conv1.0": 17, "conv1.6": 17, "layer1.0": 16, "layer3.5": 4, "layer4.2": 1},
    # 3, 4, 23, 3.
    "resnet101": {"conv1": 34, "layer1.0": 33, "layer2.0": 30, "layer3.0": 26, "layer3.22": 4, "layer4.2": 1},
    "resnet101c": {"conv1.0": 34, "layer1.0": 33, "layer2.0": 30, "layer3.0": 26, "layer3.22": 4, "layer4.2": 1},
    # 1, 2, 3, 4, 3, 3, 1 inverted bottlenecks.
    "mobilenetv2_100": {"conv_stem": 18, "bn1": 18, "blocks.0.0": 17, "blocks.4.0": 7, "blocks.6.0": 1},
    "mobilenetv2_140": {"conv_stem": 18, "blocks.2.0": 14, "blocks.6.0": 1},
    # 1, 2, 2, 3, 3, 4, 1 inverted bottlenecks.
    "tf_efficientnet_lite0": {"conv_stem": 17, "bn1": 17, "blocks.0.0": 16, "blocks.3.0": 11, "blocks.6.0": 1},
    # 1, 2, 3, 2, 3 bottlenecks and a convolution.
    "mobilenetv3_small_100": {"conv_stem": 13, "blocks.0.0": 12, "blocks.2.0": 9, "blocks.4.2": 2, "blocks.5.0": 1},
    # 1, 2, 3, 4, 2, 3 bottlenecks and a convolution.
    DILATED: {"conv_stem": 17, "blocks.0.0": 16, "blocks.3.0": 10, "blocks.5.2": 2, "blocks.6.0": 1},
    # 1, 2, 7, 12.
    "regnetx_004": {"stem": 23, "s1.b1": 22, "s2.b1": 21, "s3.b1": 19, "s4.b1": 12, "s4.b12": 1},
    # 1, 3, 7, 5.
    "regnetx_008": {"stem": 17, "s1.b1": 16, "s2.b1": 15, "s3.b1": 12, "s4.b1": 5, "s4.b5": 1},
    # 2, 4, 10, 2.
    "regnetx_016": {"stem": 19, "s1.b1": 18, "s2.b1": 16, "s3.b1": 12, "s4.b1": 2, "s4.b2": 1},
    # 2, 6, 15, 2.
    "regnetx_032": {"stem": 26, "s1.b1": 25, "s2.b1": 23, "s3.b1": 17, "s4.b1": 2, "s4.b2": 1},
    # 1, 3 at the beginning, 16 in the middle, 1 at the end: 21 in all.
    "xception65": {"stem_0": 22, "stem_1": 22, "blocks_0": 21, "blocks_20": 1},
    # 3, 3, 9, 3; a stage's halving learns with its first block.
    "convnext_tiny": {
        "stem_0": 19, "stages_0.blocks.0": 18, "stages_1.downsample": 15, "stages_1.blocks.0": 15,
        "stages_2.blocks.0": 12, "stages_3.downsample": 3, "stages_3.blocks.2": 1,
    },
    # 3, 3, 27, 3.
    "convnext_small": {"stem_0": 37, "stages_0.blocks.0": 36, "stages_2.downsample": 30, "stages_3.blocks.2": 1},
    "convnext_base": {"stem_1": 37, "stages_1.blocks.0": 33, "stages_2.blocks.26": 4, "stages_3.blocks.0": 3},
    # 2, 2, 3, 3, with the blocks that halve.
    "efficientvit_b0": {"stem_in_conv": 11, "stages_0.blocks.0": 10, "stages_2.blocks.0": 6, "stages_3.blocks.2": 1},
    # 2, 3, 4, 5.
    "efficientvit_b1": {"stem_in_conv": 15, "stages_1.blocks.0": 12, "stages_2.blocks.0": 9, "stages_3.blocks.4": 1},
    # 3, 4, 5, 7.
    "efficientvit_b2": {"stem_in_conv": 20, "stages_0.blocks.0": 19, "stages_2.blocks.0": 12, "stages_3.blocks.6": 1},
    # 4, 6, 7, 10.
    "efficientvit_b3": {"stem_in_conv": 28, "stages_1.blocks.0": 23, "stages_2.blocks.0": 17, "stages_3.blocks.9": 1},
    # 2, 2, 7, 7.
    "efficientvit_l1": {"stem_in_conv": 19, "stages_0.blocks.1": 17, "stages_2.blocks.0": 14, "stages_3.blocks.6": 1},
    # 3, 3, 9, 9.
    "efficientvit_l2": {"stem_in_conv": 25, "stages_1.blocks.0": 21, "stages_2.blocks.0": 18, "stages_3.blocks.8": 1},
    # 12 blocks.
    "vit_base_patch16_224": {"cls_token": 13, "pos_embed": 13, "blocks.0": 12, "blocks.11": 1, "norm": 1},
    "vit_small_patch14_reg4_dinov2": {"reg_token": 13, "patch_embed": 13, "blocks.0": 12, "blocks.11": 1, "norm": 1},
    # Not of any recipe. 12 blocks each, in stages of 2, 2, 6, 2 where there are stages; a stage's halving learns with
    # its first block.
    "vit_tiny_patch16_224": {"cls_token": 13, "pos_embed": 13, "patch_embed": 13, "blocks.0": 12, "norm": 1},
    "vit_small_patch16_dinov3": {"reg_token": 13, "patch_embed": 13, "blocks.0": 12, "blocks.11": 1, "norm": 1},
    "convnext_atto": {
        "stem_0": 13, "stem_1": 13, "stages_0.blocks.0": 12, "stages_0.blocks.1": 11,
        "stages_1.downsample": 10, "stages_1.blocks.0": 10, "stages_1.blocks.1": 9,
        "stages_2.downsample": 8, "stages_3.downsample": 2, "stages_3.blocks.0": 2, "stages_3.blocks.1": 1,
    },
    "swin_tiny_patch4_window7_224": {
        "patch_embed": 13, "layers_0.blocks.0": 12, "layers_0.blocks.1": 11,
        "layers_1.downsample": 10, "layers_1.blocks.0": 10, "layers_3.downsample": 2, "layers_3.blocks.1": 1,
    },
}  # fmt: skip


def built(name: str) -> Encoder:
    return TFXception65(16) if name == "xception65" else build_encoder(name)


def test_every_network_of_timm_that_a_recipe_has_is_counted_here():
    own = {"mobilenetv2_050", "mobilenetv3_large_seg"}  # TensorFlow's, with names of our own
    # EoMT's groups name the blocks themselves: tests/recipes/published/test_eomt.py. A frozen encoder does not learn.
    trained = [one for one in map(recipe, list_recipes()) if not one.initialize.freeze]
    specs = [one.model for one in trained if not isinstance(one.model, EoMTSpec)]
    encoders = {getattr(spec, "encoder", None) for spec in specs}
    missing = {name for name in encoders if name and not name.startswith(("mit_", "swin_", "mscan_"))}
    missing -= {*COUNTED, *own}
    assert missing == set()


@pytest.mark.parametrize("name", COUNTED)
def test_layers_are_those_counted_by_hand(name: str):
    encoder = built(name)
    distances = encoder.layers_from_head()
    assert distances is not None
    assert set(distances) == {f"network.{key}" for key, _ in encoder.network.named_parameters()}  # type: ignore[union-attr]
    for module, distance in COUNTED[name].items():
        own = {key: value for key, value in distances.items() if key.startswith(f"network.{module}.")}
        own |= {key: value for key, value in distances.items() if key == f"network.{module}"}
        assert own, module
        assert set(own.values()) == {distance}, module
    assert set(distances.values()) == set(range(1, max(distances.values()) + 1))


def test_what_timm_counts_with_the_head_learns_like_the_head():
    # HRNet's modules that widen each resolution stand between its last stage and the classifier.
    network = timm.create_model("hrnet_w18_small", features_only=True)
    distances = layers_from_head("hrnet_w18_small", network)
    assert distances is not None
    assert {value for key, value in distances.items() if key.startswith("incre_modules.")} == {0}
    assert distances["stage4.0.branches.0.0.conv1.weight"] == 1


def test_an_architecture_without_a_matcher_is_left_to_its_names():
    with torch.device("meta"):
        network = timm.create_model("poolformer_s12", features_only=True)
    assert layers_from_head("poolformer_s12", network) is None


@pytest.mark.parametrize(
    ("key", "original"),
    [
        ("stages.0.weight", "stages.0.weight"),
        ("stages_0.weight", "stages.0.weight"),
        ("model.stages.0.weight", "stages.0.weight"),
        ("patch_embed_0.norm_1.weight", "patch_embed.0.norm_1.weight"),
        ("added_norm.weight", "added_norm.weight"),
    ],
)
def test_names_of_feature_extractors_are_traced_back(key: str, original: str):
    assert original_name(key, {"stages.0.weight", "patch_embed.0.norm_1.weight"}) == original
