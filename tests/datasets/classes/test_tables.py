from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.classes.tables import ClassTable, class_table
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.class_sets.tables import CAMVID, CITYSCAPES, voc_color
from pixelwise.recipes.schema.recipe import Data


def table(root: Path, data: Data, name: str = "folder", mask: np.ndarray | None = None) -> ClassTable:
    samples = ()
    if mask is not None:
        Image.fromarray(mask).save(root / "mask.png")
        samples = (Sample("a", root / "image.png", root / "mask.png"),)
    return class_table(data, Layout(name=name, description="", root=root, splits={"train": samples}))


def test_known_data_sets_bring_names_palette_ids_and_colours(tmp_path: Path):
    found = table(tmp_path, Data(), "camvid")
    assert (found.classes, found.palette) == (CAMVID.names, CAMVID.palette)
    assert found.label_table.ids == CAMVID.label_table
    assert found.label_table.colors["#804080"] == 3
    assert found.label_table.colors["#000000"] == 255


def test_cityscapes_has_19_classes_of_34_ids(tmp_path: Path):
    found = table(tmp_path, Data(), "cityscapes")
    assert found.classes == CITYSCAPES.names
    assert found.label_table.ids[7] == 0
    assert found.label_table.ids[0] == 255


def test_names_in_the_recipe_rename_the_classes(tmp_path: Path):
    names = tuple(f"renamed_{i}" for i in range(11))
    assert table(tmp_path, Data(classes=names), "camvid").classes == names


def test_fewer_names_than_ids_are_a_recipe_error(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"\b10\b.*\b2\b.*\ba, b\b") as caught:
        table(tmp_path, Data(classes=("a", "b")), "camvid")
    assert caught.value.code == "R203"


def test_a_label_map_in_the_recipe_replaces_the_data_sets_own(tmp_path: Path):
    found = table(tmp_path, Data(classes=("ground", "rest"), label_map={"3": 0, "4": 0, "0": 1}), "camvid")
    assert found.label_table.ids == {3: 0, 4: 0, 0: 1, 255: 255}


def test_colours_in_the_recipe_make_masks_be_read_by_colour(tmp_path: Path):
    found = table(tmp_path, Data(classes=("a", "b"), colors={"#FF0000": 0, "#00ff00": 1}))
    assert found.label_table.ids == {}
    assert found.label_table.colors == {"#ff0000": 0, "#00ff00": 1}


def test_a_palette_reads_rgb_masks_too(tmp_path: Path):
    found = table(tmp_path, Data(classes=("a", "b"), palette=((0, 0, 0), (255, 0, 0))))
    assert found.label_table.colors == {"#000000": 0, "#ff0000": 1}
    assert found.label_table.ids == {0: 0, 1: 1, 255: 255}


def test_a_malformed_colour_is_a_recipe_error(tmp_path: Path):
    with pytest.raises(RecipeError, match="'red'"):
        table(tmp_path, Data(colors={"red": 0}))


def test_dataset_toml_names_classes_palette_and_ignored_values(tmp_path: Path):
    (tmp_path / "dataset.toml").write_text(
        'classes = ["sky", "road"]\npalette = ["#808080", [128, 64, 128]]\nignore = [11, 12]\n'
    )
    found = table(tmp_path, Data())
    assert found.classes == ("sky", "road")
    assert found.palette == ((128, 128, 128), (128, 64, 128))
    assert found.label_table.ids == {0: 0, 1: 1, 11: 255, 12: 255, 255: 255}


def test_a_dataset_toml_saved_on_windows_says_the_same(tmp_path: Path):
    (tmp_path / "dataset.toml").write_bytes(b'\xef\xbb\xbfclasses = ["sky", "road"]\r\nignore = 11\r\n')
    found = table(tmp_path, Data())
    assert found.classes == ("sky", "road")
    assert found.label_table.ids == {0: 0, 1: 1, 11: 255, 255: 255}


def test_the_recipe_wins_over_dataset_toml(tmp_path: Path):
    (tmp_path / "dataset.toml").write_text('classes = ["a", "b"]\nlabel_map = {1 = 0, 2 = 1}\n')
    found = table(tmp_path, Data(classes=("x", "y")))
    assert found.classes == ("x", "y")
    assert found.label_table.ids == {1: 0, 2: 1, 255: 255}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("classes = [", "dataset.toml"),
        ('clases = ["a"]', "'clases'.*'classes'"),
        ("classes = 3", "classes"),
        ('palette = ["red"]', "'red'"),
        ('classes = ["a"]\npalette = ["#000000", "#ffffff"]', r"\b1 .*\b2 "),
        ("label_map = {a = 0}", "'a'"),
    ],
)
def test_a_wrong_dataset_toml_is_d224(tmp_path: Path, text: str, problem: str):
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(DataError, match=problem) as caught:
        table(tmp_path, Data())
    assert caught.value.code == "D224"


def test_without_names_the_masks_decide(tmp_path: Path):
    found = table(tmp_path, Data(), mask=np.array([[0, 1, 2, 255]], np.uint8))
    assert found.classes == ("class_0", "class_1", "class_2")
    assert found.label_table.ids == {0: 0, 1: 1, 2: 2, 255: 255}
    assert found.problems == ()


def test_gaps_are_a_problem_whose_proposal_is_used(tmp_path: Path):
    found = table(tmp_path, Data(), mask=np.array([[0, 7, 33, 255]], np.uint8))
    assert [problem.code for problem in found.problems] == ["D204"]
    assert found.label_table.ids == {0: 0, 7: 1, 33: 2, 255: 255}
    assert len(found.classes) == 3


GREY, RED, BLUE = (9, 9, 9), (200, 0, 0), (0, 0, 200)


@pytest.mark.parametrize("colors", [[0, 0, 0, 1, 1, 1], [200, 0, 0, 200, 0, 0]])
def test_a_palette_that_nobody_can_see_is_not_used(tmp_path: Path, colors: list[int]):
    mask = Image.fromarray(np.array([[0, 1]], np.uint8))
    mask.putpalette(colors)
    mask.save(tmp_path / "mask.png")
    samples = (Sample("a", tmp_path / "a.png", tmp_path / "mask.png"),)
    found = class_table(Data(), Layout(name="folder", description="", root=tmp_path, splits={"train": samples}))
    assert found.palette == (voc_color(0), voc_color(1))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (Data(), (GREY, RED, BLUE)),
        (Data(classes=("a", "b", "c")), (GREY, RED, BLUE)),
        (Data(label_map={"0": 1, "1": 0, "2": 2}), (RED, GREY, BLUE)),
        (Data(label_map={"0": 255, "1": 0, "2": 1}, classes=("a", "b")), (RED, BLUE)),
        (Data(label_map={"0": 0, "1": 1, "2": 1}, classes=("a", "b")), (GREY, RED)),
        (Data(label_map={"0": 0, "1": 1, "2": 1}, classes=("a", "b"), palette=(BLUE, GREY)), (BLUE, GREY)),
        # Class 1 is every value from 2 on.
        (Data(mask_threshold=2, classes=("a", "b")), tuple(voc_color(i) for i in range(2))),
        (Data(instance_divisor=1000, label_map={"0": 0, "1": 1}), tuple(voc_color(i) for i in range(2))),
        # The palette has no colour for class 2, and half a palette says nothing.
        (Data(label_map={"0": 0, "1": 1, "200": 2}), tuple(voc_color(i) for i in range(3))),
    ],
)
def test_the_colours_of_palette_masks_become_the_palette(
    tmp_path: Path, data: Data, expected: tuple[tuple[int, int, int], ...]
):
    mask = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    mask.putpalette([*GREY, *RED, *BLUE])
    mask.save(tmp_path / "mask.png")
    samples = (Sample("a", tmp_path / "a.png", tmp_path / "mask.png"),)
    found = class_table(data, Layout(name="folder", description="", root=tmp_path, splits={"train": samples}))
    assert found.palette == expected


def test_the_colours_of_the_user_are_the_palette(tmp_path: Path):
    colors = {"#804080": 0, "#0000ff": 1, "#123456": 0, "#ffffff": 255}
    found = table(tmp_path, Data(classes=("road", "car"), colors=colors))
    assert found.palette == ((128, 64, 128), (0, 0, 255))
    own = ((1, 2, 3), (4, 5, 6))
    assert table(tmp_path, Data(classes=("road", "car"), colors=colors, palette=own)).palette == own


def test_classes_without_a_colour_keep_the_usual_palette(tmp_path: Path):
    found = table(tmp_path, Data(classes=("road", "car"), colors={"#804080": 0}))
    assert found.palette == ((0, 0, 0), (128, 0, 0))
