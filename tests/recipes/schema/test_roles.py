from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe, fields_with, with_fields_of
from pixelwise.recipes.schema.roles import Role, bare, is_in, paths_with, role, without


class Inner(msgspec.Struct, frozen=True):
    words: Annotated[str, role(Role.TEXT)] = ""
    number: int = 0
    both: Annotated[int, role(Role.CHANCE, Role.DISPLAY)] = 0


class Outer(msgspec.Struct, frozen=True):
    inner: Inner = Inner()
    aside: Annotated[Inner, role(Role.OPERATIONAL)] = Inner()
    place: Annotated[str | None, msgspec.Meta(description="where"), role(Role.PLACE)] = None


def test_fields_are_found_by_their_roles_and_sections_as_a_whole():
    assert paths_with(Outer, Role.TEXT) == ("inner.words", "aside.words")
    assert paths_with(Outer, Role.DISPLAY, Role.PLACE) == ("inner.both", "aside.both", "place")
    assert paths_with(Outer, Role.OPERATIONAL, Role.TEXT) == ("inner.words", "aside")
    assert paths_with(Outer, Role.LENGTH) == ()


def test_a_path_is_in_a_section_but_not_in_one_of_a_similar_name():
    paths = ("data.workers", "checkpoints")
    assert is_in("data.workers", paths)
    assert is_in("checkpoints.keep", paths)
    assert not is_in("data.workers_per_gpu", paths)
    assert not is_in("checkpoints_more", paths)


def test_plain_data_loses_fields_and_sections():
    plain = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert without(plain, ("a.b", "e")) == {"a": {"c": {"d": 2}}}
    assert without(plain, ("a.c.d",)) == {"a": {"b": 1, "c": {}}, "e": 3}
    assert without(plain, ("a", "x.y")) == {"e": 3}
    assert plain == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}


def test_an_annotation_without_its_marks_is_a_type():
    assert bare(Annotated[Literal["a"], role(Role.TEXT)]) == Literal["a"]
    assert bare(int | None) == int | None


def test_the_roles_of_a_recipe():
    # What may differ when a run is continued, what the hash leaves out, what makes no other experiment.
    assert set(fields_with(Role.LENGTH, Role.OPERATIONAL)) == {
        "schedule.epochs", "schedule.iterations", "selection.patience", "data.workers", "data.cache", "checkpoints",
    }  # fmt: skip
    assert set(fields_with(Role.TEXT, Role.CLAIM, Role.DISPLAY)) == {"summary", "notes", "published", "data.palette"}
    assert fields_with(Role.CHANCE, Role.TOLERANCE, Role.PLACE) == ("data.allow", "sampling.seed", "initialize.run")
    assert fields_with(Role.MOVABLE) == ("distillation.teacher",)


def test_every_path_with_a_role_is_a_field():
    entry = recipe("enet-camvid")
    for one in Role:
        for path in fields_with(one):
            value: object = entry
            for name in path.split("."):
                value = getattr(value, name)
        assert fields_with(one), one


def test_fields_are_taken_from_another_recipe():
    entry = recipe("enet-camvid")
    other = apply_overrides(entry, ["sampling.seed=7", "data.allow=[D133]", "optimizer.lr=1"])
    mixed = with_fields_of(entry, other, Role.CHANCE, Role.TOLERANCE)
    assert isinstance(mixed, Recipe)
    assert (mixed.sampling.seed, mixed.data.allow, mixed.optimizer.lr) == (7, ("D133",), entry.optimizer.lr)
