"""The decays of mmsegmentation's optimizer, by the names that its rules are written for."""

from __future__ import annotations

import re

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.dpt import DPTSpec


@pytest.mark.parametrize(
    ("name", "decays"),
    [
        ("encoder.network.pos_embed", False),
        ("encoder.network.cls_token", False),
        # The original calls them ln1 and bn, which its rule for "norm" does not match.
        ("encoder.network.blocks.3.norm1.weight", True),
        ("head.project.norm.bias", True),
        ("encoder.network.patch_embed.proj.bias", True),
    ],
)
def test_only_the_class_token_and_the_position_embeddings_do_not_decay(name: str, decays: bool) -> None:
    optimizer = recipe("dpt-vit-b-ade20k").optimizer
    groups = [group for group in optimizer.groups if re.search(group.pattern, name)]
    assert optimizer.decay_all
    assert [group.weight_decay for group in groups] == ([] if decays else [0.0])
    assert all(group.lr == 1 for group in groups)


def test_the_network_is_the_original_s() -> None:
    spec = recipe("dpt-vit-b-ade20k").model
    assert isinstance(spec, DPTSpec)
    assert (spec.readout, spec.normalize_features, spec.channels, spec.align_corners) == ("project", False, 256, False)
