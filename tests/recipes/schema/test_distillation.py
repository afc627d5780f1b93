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
