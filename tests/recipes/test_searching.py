import msgspec
import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.schema.model import ENetSpec, FCNSpec, ModelSpec
from pixelwise.recipes.schema.recipe import Data, Evaluation, Optimizer, Original, Published, Recipe, Sampling, Schedule
from pixelwise.recipes.searching import (
    Candidate,
    check_values,
    encoder_of,
    explain_nothing,
    family_of,
    number,
    parse_query,
    search,
    sort,
)


def entry(
    name: str, model: ModelSpec, miou: float | None, gmacs: float, size: tuple[int, int], dataset="camvid", **rest
):
    return Recipe(
        name=name,
        model=model,
        data=Data(dataset=dataset),
        optimizer=Optimizer(lr=0.1),
        schedule=Schedule(epochs=1),
        sampling=Sampling(batch_size=1),
        published=Published(
            page="000",
            title="t",
            source="s",
            miou_percent=miou,
            split="val",
            protocol="native",
            code_licence="MIT",
            original=Original(outputs=11, parameters="2.5M", gmacs=gmacs, size=size),
        ),
        **rest,
    )


CANDIDATES = [
    Candidate(entry("small-enet", ENetSpec(), 50.0, 2.0, (360, 480))),
    Candidate(entry("small-enet-qat", ENetSpec(), 49.0, 2.0, (360, 480), quantization="edgeai-8bit"), 48.5),
    Candidate(entry("large-fcn", FCNSpec(encoder="resnet101"), 75.0, 200.0, (512, 1024), "cityscapes")),
    Candidate(entry("unscored-fcn", FCNSpec(encoder="resnet50"), None, 100.0, (512, 512), "cityscapes")),
]


def found(query: str) -> list[str]:
    return [one.recipe.name for one in search(CANDIDATES, parse_query(query))]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["small-enet", "small-enet-qat", "large-fcn", "unscored-fcn"]),
        ("gmacs<5", ["small-enet", "small-enet-qat"]),
        ("gmacs <= 2", ["small-enet", "small-enet-qat"]),
        ("gmacs<2", []),
        ("gmacs>=100 miou>0", ["large-fcn"]),
        ("miou=50", ["small-enet"]),
        ("miou==50", ["small-enet"]),
        ("miou!=50", ["small-enet-qat", "large-fcn"]),
        ("miou>49.5%", ["small-enet", "large-fcn"]),
        ("params<=2.5M qat=no", ["small-enet", "large-fcn", "unscored-fcn"]),
        ("parameters>2499k qat=yes", ["small-enet-qat"]),
        ("params>2500001", []),
        ("measured>48", ["small-enet-qat"]),
        ("dataset=cityscapes", ["large-fcn", "unscored-fcn"]),
        ("DATASET!=Cityscapes", ["small-enet", "small-enet-qat"]),
        ("dataset=city*", ["large-fcn", "unscored-fcn"]),
        ("family=fcn encoder=resnet101", ["large-fcn"]),
        ("encoder~net5", ["unscored-fcn"]),
        ("name=enet", ["small-enet", "small-enet-qat"]),
        ("name!=enet", ["large-fcn", "unscored-fcn"]),
        ("name=*-enet", ["small-enet"]),
        ("name~qat", ["small-enet-qat"]),
        ("page=enet name=large", ["large-fcn"]),
        ("page=0 licence=mit name=large", ["large-fcn"]),
        ("input=1024x512", ["large-fcn"]),
        ("input<512x512", ["small-enet", "small-enet-qat"]),
        ("input!=480x360", ["large-fcn", "unscored-fcn"]),
    ],
)
def test_conditions_pick_what_they_say(query, names):
    assert found(query) == names


@pytest.mark.parametrize(
    ("query", "message", "help"),
    [
        ("mioo>3", "no field is called 'mioo'; did you mean 'miou'", "the fields are name, family"),
        ("gmacs=>3", "'=>' in 'gmacs=>3' is no operator", "the operators are < <= > >= = != ~"),
        ("gmacs", "cannot read 'gmacs' as a condition", "gmacs<5 miou>65"),
        ("miou>1 and gmacs<5", "cannot read 'and gmacs<5' as a condition", "field, operator, value"),
        ("gmacs<", "cannot read 'gmacs<'", "for example"),
        ("gmacs<5miou>6", "cannot read 'gmacs<5miou>6'", "for example"),
        ("gmacs<many", "'gmacs<many': 'many' is no number", "gmacs<65"),
        ("params<5T", "'5T' is no number", "params<5M"),
        ("gmacs~3", "'gmacs~3' looks for a part of a number", "gmacs goes with < <= > >= = !="),
        ("dataset<camvid", "'dataset<camvid' compares texts with '<'", "=, != or ~"),
        ("qat=maybe", "expected yes or no, got 'maybe'", "qat=yes"),
        ("qat~yes", "compares flags with '~'", "= or !="),
        ("input=big", "'big' is no size", "width x height"),
    ],
)
def test_a_query_that_cannot_be_read_says_why(query, message, help):
    with pytest.raises(RecipeError) as caught:
        parse_query(query)
    assert caught.value.code == "R208"
    assert message in caught.value.message
    assert help in caught.value.help


def test_an_unknown_page_in_a_query_is_the_pages_error():
    with pytest.raises(RecipeError, match="did you mean 'edgeai'") as caught:
        parse_query("page=edgai")
    assert caught.value.code == "R209"


@pytest.mark.parametrize("query", ["dataset=cityscape", "encoder!=resnet51", "family=fcm"])
def test_a_value_that_no_recipe_has_gets_near_misses(query):
    with pytest.raises(RecipeError, match=r"no recipe has the .*did you mean") as caught:
        check_values(parse_query(query), CANDIDATES)
    assert caught.value.code == "R208"
    assert "there are: " in caught.value.help


def test_values_that_some_recipe_has_pass():
    check_values(parse_query("dataset=cityscapes dataset=city* dataset~nothing name=nothing miou>99"), CANDIDATES)


def test_what_is_missing_meets_no_condition():
    assert "unscored-fcn" not in found("miou>0")
    assert "unscored-fcn" not in found("miou<=0")
    assert "unscored-fcn" not in found("miou!=1")


def test_the_best_score_comes_first_and_the_cheaper_of_equals():
    cheap = Candidate(entry("cheap", ENetSpec(), 50.0, 1.0, (360, 480)))
    names = [one.recipe.name for one in sort([*CANDIDATES, cheap])]
    assert names == ["large-fcn", "cheap", "small-enet", "small-enet-qat", "unscored-fcn"]


def test_results_sort_by_any_field():
    assert [one.recipe.name for one in sort(CANDIDATES, "gmacs")][:2] == ["small-enet", "small-enet-qat"]
    assert sort(CANDIDATES, "measured")[0].recipe.name == "small-enet-qat"
    assert sort(CANDIDATES, "name")[0].recipe.name == "large-fcn"
    assert sort(CANDIDATES, "input")[-1].recipe.name == "large-fcn"
    with pytest.raises(RecipeError, match="no field is called 'gmac'; did you mean 'gmacs'"):
        sort([], "gmac")


def test_nothing_found_says_which_condition_excludes_how_many():
    conditions = parse_query("gmacs<5 miou>60")
    assert search(CANDIDATES, conditions) == []
    assert explain_nothing(CANDIDATES, conditions) == [
        "gmacs<5 excludes 2 of 4; without it there would be 1",
        "miou>60 excludes 3 of 4; without it there would be 2",
    ]


def test_only_recipes_without_an_original_are_counted_and_only_when_asked():
    calls = []

    def count(entry):
        calls.append(entry.name)
        return 1_000_000, 3.0

    own = msgspec.structs.replace(CANDIDATES[0].recipe, name="own", published=None)
    candidates = [Candidate(own, None, count), Candidate(CANDIDATES[0].recipe, None, count)]
    assert search(candidates, parse_query("gmacs<9 name=nothing")) == []
    assert calls == []
    assert [one.recipe.name for one in search(candidates, parse_query("gmacs>2.5 params<2M"))] == ["own"]
    assert calls == ["own"]


@pytest.mark.parametrize(
    ("text", "value"), [("2428976", 2428976), ("40.067M", 40_067_000), ("350k", 350_000), (".5G", 5e8), ("65%", 65)]
)
def test_numbers_may_carry_units(text, value):
    assert number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "-3", "1e3", "5MM", "nan", "1,5"])
def test_other_texts_are_no_numbers(text):
    with pytest.raises(ValueError):
        number(text)


def test_family_and_encoder_are_read_from_the_network():
    assert (family_of(recipe("enet-camvid")), encoder_of(recipe("enet-camvid"))) == ("enet", None)
    assert (family_of(CANDIDATES[2].recipe), encoder_of(CANDIDATES[2].recipe)) == ("fcn", "resnet101")


def test_own_recipes_have_the_size_that_they_are_scored_at():
    own = msgspec.structs.replace(
        CANDIDATES[0].recipe, published=None, evaluation=Evaluation(input_size=(192, 256), split="val")
    )
    assert Candidate(own)["input"] == (192, 256)
    assert Candidate(recipe("town-demo"))["input"] == (144, 192)
    assert Candidate(recipe("unet-resnet18"))["input"] is None
