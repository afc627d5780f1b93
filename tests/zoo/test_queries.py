import msgspec
import pytest
from zoo.candidates import CANDIDATES

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.schema.recipe import Evaluation
from pixelwise.zoo.queries import FIELDS, Candidate, field_words, meets, number, parse_query


def found(query: str) -> list[str]:
    return [one.recipe.name for one in CANDIDATES if all(meets(one, condition) for condition in parse_query(query))]


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
        ("mioo>3", ("'mioo'", "'miou'"), "name, family"),
        ("gmacs=>3", ("'=>'", "'gmacs=>3'"), " < <= > >= = != ~"),
        ("gmacs", ("'gmacs'",), "gmacs<5 miou>65"),
        ("miou>1 and gmacs<5", ("'and gmacs<5'",), "gmacs<5 miou>65"),
        ("gmacs<", ("'gmacs<'",), "gmacs<5 miou>65"),
        ("gmacs<5miou>6", ("'gmacs<5miou>6'",), "gmacs<5 miou>65"),
        ("gmacs<many", ("'gmacs<many'", "'many'"), "gmacs<65"),
        ("params<5T", ("'params<5T'", "'5T'"), "params<65"),
        ("gmacs~3", ("'gmacs~3'", "'~'"), "gmacs: < <= > >= = !="),
        ("dataset<camvid", ("'dataset<camvid'", "'<'"), "dataset: = != ~"),
        ("qat=maybe", ("'qat=maybe'", "'maybe'"), "qat=yes"),
        ("qat~yes", ("'qat~yes'", "'~'"), "qat: = !="),
        ("input=big", ("'input=big'", "'big'"), "input=1024x512"),
    ],
)
def test_a_query_that_cannot_be_read_says_why(query, message, help):
    with pytest.raises(RecipeError) as caught:
        parse_query(query)
    assert caught.value.code == "R208"
    assert [part for part in message if part not in caught.value.message] == []
    assert help in caught.value.help


def test_an_unknown_page_in_a_query_is_the_pages_error():
    with pytest.raises(RecipeError, match="'edgeai'") as caught:
        parse_query("page=edgai")
    assert caught.value.code == "R209"


def test_a_missing_value_meets_no_condition():
    assert "unscored-fcn" not in found("miou>0")
    assert "unscored-fcn" not in found("miou<=0")
    assert "unscored-fcn" not in found("miou!=1")


@pytest.mark.parametrize(
    ("text", "value"), [("2428976", 2428976), ("40.067M", 40_067_000), ("350k", 350_000), (".5G", 5e8), ("65%", 65)]
)
def test_numbers_may_carry_units(text, value):
    assert number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "-3", "1e3", "5MM", "nan", "1,5"])
def test_other_texts_are_not_numbers(text):
    with pytest.raises(ValueError):
        number(text)


def test_own_recipes_have_the_size_that_they_are_scored_at():
    own = msgspec.structs.replace(
        CANDIDATES[0].recipe, published=None, evaluation=Evaluation(input_size=(192, 256), split="val")
    )
    assert Candidate(own)["input"] == (192, 256)
    assert Candidate(recipe("town-demo"))["input"] == (144, 192)
    assert Candidate(recipe("unet-resnet18"))["input"] is None


def test_the_fields_are_explained():
    assert len(field_words()) == len(FIELDS)
    assert {"name", "miou (published, %)", "params (5M, 350k)"} <= set(field_words())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("unet", [("name", "~", "unet")]),
        ("unet gmacs<5", [("name", "~", "unet"), ("gmacs", "<", 5.0)]),
        ("dataset=camvid seg-former", [("dataset", "=", "camvid"), ("name", "~", "seg-former")]),
    ],
)
def test_a_word_alone_is_part_of_the_name(query: str, expected: list[tuple]):
    assert [(one.field, one.sign, one.value) for one in parse_query(query)] == expected
