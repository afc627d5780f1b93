"""The rates and decays of mmsegmentation's optimizers, by the names that its rules are written for."""

from __future__ import annotations

import re

import pytest

from pixelwise.recipes.published.upernet import convnext_procedure, swin_procedure
from pixelwise.recipes.schema.recipe import Group


def group_of(groups: tuple[Group, ...], name: str) -> tuple[float, float | None]:
    """Factor of the rate and decay of a parameter; None: the optimizer's decay."""
    return next(((group.lr, group.weight_decay) for group in groups if re.search(group.pattern, name)), (1.0, None))


@pytest.mark.parametrize(
    ("name", "decay"),
    [
        ("encoder.layers_0.blocks.0.norm1.weight", 0.0),
        ("encoder.patch_embed.norm.bias", 0.0),
        ("encoder.layers_1.downsample.norm.weight", 0.0),
        ("feature_norms.2.bias", 0.0),
        ("encoder.layers_2.blocks.5.attn.relative_position_bias_table", 0.0),
        # What mmsegmentation's heads call "bn" decays, and so do biases.
        ("head.fusion.norm.weight", None),
        ("encoder.layers_0.blocks.0.mlp.fc1.bias", None),
    ],
)
def test_norms_and_position_biases_of_swin_do_not_decay(name: str, decay: float | None) -> None:
    optimizer = swin_procedure()["optimizer"]
    assert group_of(optimizer.groups, name) == (1.0, decay)
    assert optimizer.decay_all


@pytest.mark.parametrize(
    ("name", "small", "large"),
    [
        ("encoder.network.stem_0.weight", 7, 13),
        ("encoder.network.stages_3.downsample.1.weight", 7, 13),
        ("encoder.network.stages_0.blocks.0.gamma", 6, 12),
        ("encoder.network.stages_2.blocks.26.mlp.fc1.weight", 4, 10),
        ("encoder.network.stages_3.blocks.0.norm.bias", 3, 9),
        ("feature_norms.0.weight", 0, 0),
        ("head.classifier.weight", 0, 0),
    ],
)
def test_stages_of_convnext_learn_at_their_own_rates(name: str, small: int, large: int) -> None:
    for layers, power in ((6, small), (12, large)):
        optimizer = convnext_procedure(layers)["optimizer"]
        assert group_of(optimizer.groups, name) == (pytest.approx(0.9**power), None)
        assert not optimizer.decay_all
