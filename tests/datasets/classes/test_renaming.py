from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.datasets.classes.renaming import renaming
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.recipe import Data

LAYOUT = Layout(name="folder", description="", root=Path("elsewhere"), splits={})
NAMES = st.lists(st.sampled_from(["road", "Road ", "car", "cars", "sky", "tree"]), min_size=2, max_size=4, unique=True)


def said(given_names: list[str] | None, stated: list[str] | None, layout: Layout = LAYOUT, **values) -> list[str]:
    names = None if given_names is None else tuple(given_names)
    return [found.code for found in renaming(Data(classes=names, **values), layout, stated)]


@given(NAMES, NAMES)
def test_no_class_gets_the_name_of_another_one_in_silence(names: list[str], stated: list[str]):
    def plain(words: list[str]) -> list[str]:
        return [word.strip().lower() for word in words]

    if len(set(plain(stated))) < len(stated):
        return
    moved = any(
        plain(stated)[other] == name
        for index, name in enumerate(plain(names))
        for other in range(len(stated))
        if other != index
    )
    if moved:
        with pytest.raises(RecipeError, match=r"R203.*says that it is"):
            said(names, stated)
        return
    codes = said(names, stated)
    common = min(len(names), len(stated))
    assert codes == ([] if plain(names)[:common] == plain(stated)[:common] else ["W415"])


def test_the_error_names_both_classes_and_the_order():
    with pytest.raises(RecipeError, match=r"class 0 road.*elsewhere says that it is car \(car, road\)") as caught:
        said(["road", "car"], ["car", "road"])
    assert "data.label_map" in (caught.value.help or "")
    with pytest.raises(RecipeError, match=r"class 2 car.*it is no class"):
        said(["x", "y", "car"], ["car", "road"])


def test_values_beside_the_names_and_data_that_names_nothing_are_taken_as_given():
    swapped = (["road", "car"], ["car", "road"])
    assert said(*swapped, label_map={"0": 0, "1": 1}) == []
    assert said(*swapped, colors={"#000000": 0, "#ffffff": 1}) == []
    labelled = Layout(name="folder", description="", root=Path(), splits={}, label_names={0: "car", 1: "road"})
    assert said(*swapped, labelled) == []
    assert said(["road", "car"], None) == said(None, ["car", "road"]) == []
