"""The rates, warm-ups and windows of EoMT's training, by the names of the parameters."""

from __future__ import annotations

import re

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.eomt import EoMTSpec
from pixelwise.recipes.schema.recipe import Group


def group_of(groups: tuple[Group, ...], name: str) -> Group | None:
    """The group of a parameter; None: it learns like the heads."""
    return next((group for group in groups if re.search(group.pattern, name)), None)


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("encoder.network.blocks.23.mlp.fc1.weight", 0),
        ("encoder.network.norm.weight", 0),
        ("encoder.network.blocks.12.ls1.gamma", 11),
        ("encoder.network.blocks.2.norm1.weight", 21),  # not of block 21 or 22
        ("encoder.network.blocks.0.attn.qkv.weight", 23),
        ("encoder.network.patch_embed.proj.weight", 23),
        ("encoder.network.pos_embed", 23),
    ],
)
def test_blocks_of_dinov2_learn_the_slower_the_earlier_they_are(name: str, power: int) -> None:
    group = group_of(recipe("eomt-l-dinov2-ade20k").optimizer.groups, name)
    assert group is not None
    assert group.lr == pytest.approx(0.8**power)
    assert (group.warmup_after, group.warmup_iterations) == (500, 1000)


def test_the_encoder_of_dinov3_learns_like_the_heads_but_later() -> None:
    optimizer = recipe("eomt-b-dinov3-ade20k").optimizer
    group = group_of(optimizer.groups, "encoder.network.blocks.0.attn.qkv.weight")
    assert group is not None
    assert (group.lr, group.warmup_after, group.warmup_iterations) == (1, 2000, 3000)
    assert group_of(optimizer.groups, "queries.weight") is None


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("eomt-l-dinov2-ade20k", ((6520, 13040), (13040, 19560), (19560, 26080), (26080, 32600))),
        ("eomt-l-dinov2-cityscapes", ((3317, 6634), (6634, 9951), (9951, 13268), (13268, 16585))),
        ("eomt-l-dinov3-ade20k", ((0, 3000), (6520, 9780), (9780, 13040), (13040, 16300))),
        ("eomt-s-dinov3-ade20k", ((6520, 9780), (9780, 13040), (13040, 16300))),
    ],
)
def test_masks_disappear_in_the_published_steps(name: str, windows: tuple[tuple[int, int], ...]) -> None:
    spec = recipe(name).model
    assert isinstance(spec, EoMTSpec)
    assert spec.windows() == windows


def test_a_configuration_that_has_no_effect_is_noted() -> None:
    assert "lr_mult" in recipe("eomt-l-dinov3-ade20k").notes
    assert "lr_mult" not in recipe("eomt-l-dinov2-ade20k").notes


def test_gradients_are_clipped_as_by_the_authors() -> None:
    assert {recipe(name).optimizer.clip_norm for name in ("eomt-l-dinov2-ade20k", "eomt-s-dinov3-ade20k")} == {0.01}
