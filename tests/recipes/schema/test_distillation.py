from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Distillation, Recipe

FIRST, SECOND = "ab" * 32, "cd" * 32


def with_(*overrides: str) -> Recipe:
    return apply_overrides(recipe("enet-camvid"), overrides)


def test_a_recipe_learns_from_nobody_one_or_several():
    assert recipe("enet-camvid").distillation == Distillation()
    assert with_("teacher=runs/a").distillation.teachers == ("runs/a",)
    both = with_("distillation.teacher=[runs/a, runs/b]")
    assert both.distillation.teachers == ("runs/a", "runs/b")
    assert apply_overrides(both, ["distillation.teacher=none"]).distillation.teachers == ()


def test_every_way_of_matching_has_a_temperature():
    temperatures = [with_("teacher=a", f"match={one}").distillation for one in ("logits", "channels", "dist")]
    assert [one.used_temperature for one in temperatures] == [1, 4, 1]
    assert with_("teacher=a", "match=channels", "temperature=2").distillation.used_temperature == 2


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["teacher=[]"], "names no folder"),
        (['teacher=["a", " "]'], "names no folder"),
        (["match=dist", "with_labels=false"], r"match, distillation\.with_labels is set, but there is no"),
        (["teacher=a", "temperature=0"], r"temperature is 0"),
        (["teacher=a", "distillation.weight=0"], r"weight is 0"),
        (["teacher=a", "between=2"], "belong to distillation.match=dist; it is logits"),
        (["teacher=a", "match=dist", "between=-1"], "between is -1"),
        (["teacher=a", "match=dist", "between=0", "within=0"], "are 0"),
        (["teacher=a", f"teacher_sha256=[{FIRST}, {SECOND}]"], "each of 1 teachers"),
        (["teacher=a", "teacher_sha256=[abc]"], "64 hexadecimal digits"),
        (["teacher=a", "match=features", "temperature=2"], r"temperature is 2\.0, but distillation\.match=features"),
        (["teacher=a", "distillation.stage=1"], r"stage belongs to distillation\.match=features; it is logits"),
        (
            ["teacher=a", "teacher_stage=1", "teacher_encoder=b"],
            r"teacher_stage and distillation\.teacher_encoder belongs",
        ),
        (
            ["teacher=a", "match=features", "freeze=true", "initialize.encoder=default"],
            "freeze=true keeps it as it begins",
        ),
        (["teacher=a", "match=features", "quantization=x86-8bit"], "no longer by itself"),
        (["teacher=a", "match=features", "precision.compile=true"], "precision.compile compiles it into the network"),
        (
            ["teacher=a", "match=dist", "data.multilabel=true", "loss.class_weights=none"],
            "distillation.match=dist needs pixels of exactly one",
        ),
    ],
)
def test_impossible_settings_are_refused(overrides: list[str], told: str):
    with pytest.raises(RecipeError, match=told) as caught:
        with_(*overrides)
    assert caught.value.code == "R203"


def test_features_alone_are_no_classes_unless_a_head_was_trained_before():
    alone = with_("teacher=a", "match=features", "with_labels=false")
    assert not alone.learns_classes
    assert apply_overrides(alone, ["initialize.run=runs/b"]).learns_classes
    assert with_("teacher=a", "match=features").learns_classes
    assert with_("teacher=a", "with_labels=false").learns_classes
    assert with_().learns_classes


def test_networks_trained_by_their_masks_may_learn_features():
    assert apply_overrides(recipe("mask2former-r50-ade20k"), ["teacher=a", "match=features"]).distillation.teachers
    with pytest.raises(RecipeError, match=r"set distillation\.match=features"):
        apply_overrides(recipe("mask2former-r50-ade20k"), ["teacher=a"])


def test_the_hash_knows_a_teacher_by_its_weights_and_not_by_its_place():
    one, moved = (with_(f"teacher={place}", f"teacher_sha256=[{FIRST}]") for place in ("runs/a", "/else/where"))
    other = with_("teacher=runs/a", f"teacher_sha256=[{SECOND}]")
    assert one.hash() == moved.hash()
    assert len({one.hash(), other.hash(), recipe("enet-camvid").hash(), with_("teacher=runs/a").hash()}) == 4


def test_another_teacher_loses_the_hash_of_the_first_and_the_published_claim():
    one = with_("teacher=runs/a", f"teacher_sha256=[{FIRST}]")
    assert apply_overrides(one, ["teacher=runs/a"]).distillation.teacher_sha256 == (FIRST,)
    assert apply_overrides(one, ["teacher=runs/b"]).distillation.teacher_sha256 == ()
    published = next(entry for entry in map(recipe, ("enet-cityscapes",)) if entry.published is not None)
    assert apply_overrides(published, ["teacher=runs/a"]).published is None
