from pathlib import Path

import numpy as np
import pytest
from distributions import install, python

from pixelwise.datasets.format import FORMATS, Format, Scene, Scenes, format_of, needs_folder, raw_values, register
from pixelwise.datasets.publication import Publication
from pixelwise.errors import RecipeError
from pixelwise.recipes.class_sets.tables import ADE20K, BUILT_IN, CITYSCAPES, CLASS_SETS, ClassSet
from pixelwise.recipes.schema.recipe import Data

TWO = ClassSet(names=("a", "b"), palette=((0, 0, 0), (1, 1, 1)), label_table={5: 0, 6: 1, 7: 1, 255: 255})


def made_up(name: str = "made-up", **fields: object) -> Format:
    return Format(name=name, title="made up", expected="nothing", layout=lambda root: None, **fields)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch):
    """Take out what a test registers."""
    FORMATS.own()
    names, known = set(FORMATS), set(CLASS_SETS)
    yield
    for name in set(FORMATS) - names:
        del FORMATS[name]
        del FORMATS._places[name]
    for name in set(CLASS_SETS) - known:
        del CLASS_SETS[name]


def test_a_registered_format_is_found_and_its_classes_are_known():
    format = register(made_up(classes=TWO))
    assert format_of("made-up") is format
    assert Data(dataset="made-up").class_names() == ("a", "b")


def test_classes_that_are_registered_again_replace_the_former():
    other = ClassSet(names=("c",), palette=((0, 0, 0),), label_table={0: 0})
    for classes in (TWO, other):  # as by running the cell of a notebook twice
        exec("register(format)", {"__name__": "__main__", "register": register, "format": made_up(classes=classes)})
    assert Data(dataset="made-up").class_names() == ("c",)


def test_the_classes_of_a_plug_in_that_failed_are_forgotten_with_its_format(tmp_path: Path):
    code = (
        "from pixelwise.datasets.format import Format, register\n"
        "from pixelwise.recipes.class_sets.tables import ClassSet\n"
        "known = ClassSet(names=('a',), palette=((0, 0, 0),), label_table={0: 0})\n"
        "register(Format(name='lost', title='x', expected='x', layout=lambda root: None, classes=known))\n"
        "1 / 0\n"
    )
    install(tmp_path, "acme", "[pixelwise.plugins]\nacme = acme\n", code)
    script = (
        "from pixelwise.datasets.format import FORMATS\n"
        "from pixelwise.recipes.class_sets.tables import class_set\n"
        "print(FORMATS.look_up('lost'), class_set('lost'))"
    )
    assert python("-c", script, site=tmp_path).stdout == "None None\n"


def test_the_built_in_names_are_those_of_the_built_in_formats():
    assert set(FORMATS.own()) == BUILT_IN


@pytest.mark.parametrize(
    ("name", "needs"), [("auto", True), ("folder", True), ("gone", True), ("town", False), ("made-up", False)]
)
def test_only_data_that_is_not_generated_needs_a_folder(name: str, needs: bool):
    register(made_up(generate=lambda data: Path()))
    assert needs_folder(name) is needs


def test_a_name_is_taken_once():
    with pytest.raises(RecipeError) as caught:
        register(made_up("camvid"))
    assert caught.value.code == "R234"
    assert format_of("camvid").title != "made up"


def test_an_unknown_name_is_r203_with_the_nearest():
    with pytest.raises(RecipeError, match="'cityscapes'") as caught:
        format_of("cityscape")
    assert caught.value.code == "R203"


def test_known_classes_of_recipes_are_those_of_the_formats():
    of_formats = {name: format.classes for name, format in FORMATS.own().items() if format.classes is not None}
    assert of_formats == CLASS_SETS


def test_the_first_publication_brings_what_a_format_needs():
    one, two = (Publication(name=name, summary="", terms="", sources=(), expected={}) for name in ("fine", "coarse"))
    assert made_up(publications=(one, two)).prepare_command(Path("x")) == "pixelwise data prepare fine --root x"
    assert made_up().prepare_command(Path("x")) is None


def test_raw_values_are_the_first_that_mean_a_class():
    assert raw_values(TWO, 2)[[0, 1, 255]].tolist() == [5, 6, 255]
    assert raw_values(None, 3).tolist() == list(range(256))
    # Road is 7; what is ignored is 0 in both.
    assert raw_values(CITYSCAPES, 19)[[0, 255]].tolist() == [7, 0]
    assert raw_values(ADE20K, 150)[[0, 149, 255]].tolist() == [1, 150, 0]


def test_a_mask_holds_raw_values():
    scene = Scene(np.zeros((1, 3, 3), np.uint8), np.array([[0, 1, 255]], np.uint8))
    scenes = Scenes(classes=TWO.names, splits={"train": [scene]}, raw_values=raw_values(TWO, 2))
    assert scenes.mask(scene).tolist() == [[5, 6, 255]]
