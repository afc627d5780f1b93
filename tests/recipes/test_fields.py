from collections import Counter

import msgspec
import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.fields import (
    accepted,
    choices_of,
    fields_of,
    find_fields,
    full_path,
    is_known,
    is_optional,
    paths,
    sections,
)
from pixelwise.recipes.overrides import apply_overrides, flat_fields, words_of
from pixelwise.recipes.schema.model import IMAGENET_MEAN
from pixelwise.recipes.schema.training import Optimizer
from pixelwise.recipes.sizes import Size


def test_every_field_has_a_sentence():
    assert [(one.path, one.family) for one in fields_of() if not one.text.endswith((".", ")"))] == []
    assert [path for path, text in sections().items() if not text.endswith(".")] == []


@pytest.mark.parametrize("name", ["unet", "enet-camvid", "segformer-b0-cityscapes"])
def test_the_fields_of_a_recipe_are_those_that_it_sets_and_more(name: str):
    found = recipe(name)
    known = {one.path for one in fields_of(type(found.model))}
    inside = ("data.label_map.", "data.colors.", "loss.terms.")
    assert {path for path in flat_fields(found) if not path.startswith(inside)} <= known


def test_defaults_are_those_of_the_section_in_its_place():
    [mean] = [one for one in fields_of(type(recipe("segformer-b0-cityscapes").model)) if one.leaf == "mean"]
    assert mean.default == IMAGENET_MEAN
    [rate] = find_fields("optimizer.lr")
    assert rate.default is msgspec.NODEFAULT
    assert rate.text == "Base learning rate."


@pytest.mark.parametrize(
    ("path", "full"),
    [
        ("epochs", "schedule.epochs"),
        ("lr", "optimizer.lr"),
        ("crop", "augment.crop"),
        ("decay", "ema.decay"),
        ("threshold", "loss.ohem.threshold"),
        ("ohem.threshold", "loss.ohem.threshold"),
        ("family", "model.family"),
        ("notes", "notes"),
        ("dice", "loss.dice"),
        ("matching.dice", "loss.matching.dice"),
        ("auxiliary", "loss.auxiliary"),
        ("adapter.layers", "initialize.adapter.layers"),
        ("optimizer.lr", "optimizer.lr"),
        ("optimizer.nothing", "optimizer.nothing"),
        ("optimizer.lrr", "optimizer.lrr"),
        ("ema.decay", "ema.decay"),
        ("loss.ohem", "loss.ohem"),
        ("data.label_map.3", "data.label_map.3"),
        ("loss.terms.poly.weight", "loss.terms.poly.weight"),
    ],
)
def test_the_end_of_a_path_is_enough(path: str, full: str):
    assert full_path(path) == full
    assert is_known(path)


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("batch_size", "R262", ["sampling.batch_size", "evaluation.batch_size"]),
        ("kind", "R262", ["optimizer.kind", "schedule.kind"]),
        ("encoder", "R262", ["model.encoder", "initialize.encoder"]),
        ("epoch", "R202", ["'schedule.epochs'"]),
        ("train.epochs", "R202", ["'schedule.epochs'"]),
        ("optimiser.kind", "R202", ["'optimizer.kind'"]),
        ("batch", "R202", ["'sampling.batch_size'"]),
        ("learning_rate", "R202", ["'optimizer.lr'"]),
        ("optimizer.epochs", "R202", ["optimizer has no field 'epochs'", "'schedule.epochs'"]),
        ("data.batch_size", "R202", ["'sampling.batch_size'", "'evaluation.batch_size'"]),
    ],
)
def test_what_is_ambiguous_or_wrong_is_refused_with_candidates(path: str, code: str, named: list[str]):
    with pytest.raises(RecipeError) as caught:
        full_path(path)
    assert caught.value.code == code
    assert [name for name in named if name not in caught.value.message] == []


def test_a_name_is_only_refused_among_fields_in_equally_many_sections():
    leaves = Counter((path.rsplit(".", 1)[-1], path.count(".")) for path in paths())
    for leaf in {leaf for leaf, _ in leaves}:
        depth = min(depth for name, depth in leaves if name == leaf)
        if leaves[leaf, depth] == 1:
            assert full_path(leaf).count(".") == depth
        else:
            with pytest.raises(RecipeError, match="may be"):
                full_path(leaf)


def test_what_resembles_nothing_is_refused_without_a_guess():
    with pytest.raises(RecipeError) as caught:
        full_path("xyzzy")
    assert caught.value.message == "a recipe has no field 'xyzzy'"
    assert not is_known("xyzzy")


def test_the_published_result_is_no_candidate():
    assert full_path("licence") == "initialize.licence"
    assert not any(path.startswith("published.") for path in paths())


def test_every_unique_name_leads_to_its_field():
    known = paths()
    leaves = [path.rpartition(".")[2] for path in known]
    unique = [path for path, leaf in zip(known, leaves, strict=True) if leaves.count(leaf) == 1]
    assert len(unique) > 90
    assert [full_path(path.rpartition(".")[2]) for path in unique] == unique


def test_overrides_are_completed_wherever_they_are_given():
    changed = apply_overrides(recipe("unet-resnet18"), ["epochs=3", "lr = 0.5"])
    assert (changed.schedule.epochs, changed.optimizer.lr) == (3, 0.5)
    assert (
        apply_overrides(recipe("unet"), {"epochs": 3}).planned
        == apply_overrides(recipe("unet"), ["schedule.epochs=3"]).planned
    )
    assert words_of(["lr=1", "a word", "=2"]) == ["optimizer.lr=1", "a word", "=2"]


@pytest.mark.parametrize(
    ("kind", "words", "choices"),
    [
        (int, "a whole number", ()),
        (int | None, "a whole number", ()),
        (Size | None, "[height, width]", ()),
        (bool, "true or false", ("true", "false")),
        (tuple[str, ...], "a list of texts", ()),
        (tuple[float, float], "[a number, a number]", ()),
        (Optimizer, "a table of fields", ()),
    ],
)
def test_accepted_values_in_words(kind, words: str, choices: tuple[str, ...]):
    assert (accepted(kind), choices_of(kind)) == (words, choices)


def test_choices_are_those_of_the_schema():
    fields = {one.path: one for one in fields_of(type(recipe("unet").model))}
    assert fields["optimizer.kind"].choices == ("sgd", "adam", "adamw")
    assert accepted(fields["optimizer.kind"].kind) == "sgd, adam or adamw"
    assert fields["loss.class_weights"].choices[0] == "none"
    assert accepted(fields["loss.class_weights"].kind).endswith("; or a list of numbers")
    assert is_optional(fields["optimizer.clip_norm"].kind)
    assert not is_optional(fields["optimizer.lr"].kind)
