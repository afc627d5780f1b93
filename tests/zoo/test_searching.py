import re

import msgspec
import pytest
from reports.zoo_cases import make_result, write_result
from zoo.candidates import CANDIDATES, entry

import pixelwise
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import Observer
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.zoo.queries import Candidate, parse_query
from pixelwise.zoo.searching import check_values, explain_nothing, select, sort


@pytest.mark.parametrize(
    ("query", "nearest"),
    [("dataset=cityscape", "cityscapes"), ("encoder!=resnet51", "resnet50"), ("family=fcm", "fcn")],
)
def test_a_value_that_no_recipe_has_gets_near_misses(query, nearest):
    with pytest.raises(RecipeError) as caught:
        check_values(parse_query(query), CANDIDATES)
    assert caught.value.code == "R208"
    assert f"'{nearest}'" in caught.value.message
    assert nearest in caught.value.help


def test_values_that_some_recipe_has_pass():
    check_values(parse_query("dataset=cityscapes dataset=city* dataset~nothing name=nothing miou>99"), CANDIDATES)


def test_the_best_score_comes_first_and_the_cheaper_of_equals():
    cheap = Candidate(entry("cheap", ENetSpec(), 50.0, 1.0, (360, 480)))
    names = [one.recipe.name for one in sort([*CANDIDATES, cheap])]
    assert names == ["large-fcn", "cheap", "small-enet", "small-enet-qat", "unscored-fcn"]


def test_results_sort_by_any_field():
    assert [one.recipe.name for one in sort(CANDIDATES, "gmacs")][:2] == ["small-enet", "small-enet-qat"]
    assert sort(CANDIDATES, "measured")[0].recipe.name == "small-enet-qat"
    assert sort(CANDIDATES, "name")[0].recipe.name == "large-fcn"
    assert sort(CANDIDATES, "input")[-1].recipe.name == "large-fcn"
    with pytest.raises(RecipeError, match=r"'gmac'.*'gmacs'") as caught:
        sort([], "gmac")
    assert caught.value.code == "R208"


def test_nothing_found_says_which_condition_excludes_how_many():
    conditions = parse_query("gmacs<5 miou>60")
    assert select(CANDIDATES, conditions) == []
    lines = [re.findall(r"gmacs<5|miou>60|\b\d\b", line) for line in explain_nothing(CANDIDATES, conditions)]
    # The condition, how many it excludes, of how many, and how many match without it.
    assert lines == [["gmacs<5", "2", "4", "1"], ["miou>60", "3", "4", "2"]]


def test_only_recipes_without_an_original_are_counted_and_only_when_asked():
    calls = []

    def count(entry):
        calls.append(entry.name)
        return 1_000_000, 3.0

    own = msgspec.structs.replace(CANDIDATES[0].recipe, name="own", published=None)
    candidates = [Candidate(own, None, count), Candidate(CANDIDATES[0].recipe, None, count)]
    assert select(candidates, parse_query("gmacs<9 name=nothing")) == []
    assert calls == []
    assert [one.recipe.name for one in select(candidates, parse_query("gmacs>2.5 params<2M"))] == ["own"]
    assert calls == ["own"]


class Counting(Observer):
    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None]] = []

    def progress(self, done: int, total: int | None) -> None:
        self.seen.append((done, total))


def test_the_catalogue_is_searched_with_what_was_measured_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_result(tmp_path / "a.json", make_result(recipe("enet-camvid"), 52.5))
    watching = Counting()
    found = pixelwise.search("family=enet miou>53 name!=2021", sort="gmacs", results=(tmp_path,), observer=watching)
    assert [one["name"] for one in found.matches] == ["enet-camvid", "enet-cityscapes"]
    assert [one["measured"] for one in found.matches] == [52.5, None]
    assert found.searched == len(list_recipes())
    assert found.reasons == ()
    assert watching.seen[-1] == (found.searched, found.searched)


def test_a_search_without_matches_has_reasons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = pixelwise.search("miou>99 family=enet")
    assert found.matches == ()
    assert found.reasons[0].startswith("miou>99 ")


def test_mistakes_of_a_search_are_errors(tmp_path):
    for query, sort_by, code in (("miuo>3", None, "R208"), ("page=enett", None, "R209"), ("miou>3", "gmac", "R208")):
        with pytest.raises(RecipeError) as caught:
            pixelwise.search(query, sort=sort_by)
        assert caught.value.code == code
    with pytest.raises(DataError) as missing:
        pixelwise.search("miou>3", results=(tmp_path / "nowhere",))
    assert missing.value.code == "D240"
