import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (6, 8)
XML = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>5</id><mode>annotation</mode>
    <labels><label><name>road</name><color>#804080</color></label><label><name>car</name></label></labels>
  </task></meta>
{images}
</annotations>
"""
ROAD = '<box label="road" xtl="0" ytl="2" xbr="8" ybr="6" z_order="0" occluded="0"></box>'
CAR = '<polygon label="car" points="1.00,1.00;4.00,1.00;4.00,4.00;1.00,4.00" z_order="1"></polygon>'


def image(name: str, *shapes: str, subset: str = "Train", size: tuple[int, int] = SIZE) -> str:
    height, width = size
    return f'<image id="0" name="{name}" subset="{subset}" width="{width}" height="{height}">{"".join(shapes)}</image>'


def write(root: Path, *images: str, files: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    for file in files:
        Image.fromarray(np.full((*SIZE, 3), 70, np.uint8)).save(root / "images" / file)
    (root / "annotations.xml").write_text(XML.format(images="".join(images)))
    return root


def labels_of(root: Path) -> np.ndarray:
    dataset = open_dataset(Data(), root)
    return read_pair(dataset.samples("train")[0], dataset)[1]


def test_cvat_for_images_is_recognised_with_labels_in_their_order(tmp_path: Path):
    root = write(tmp_path / "d", image("a.png", ROAD, CAR), image("b.png", ROAD, subset="Validation"))
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.classes, dataset.problems) == ("cvat", ("background", "road", "car"), ())
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "val": 1}


@pytest.mark.parametrize("shapes", [(ROAD, CAR), (CAR, ROAD)])
def test_the_z_order_decides_what_lies_on_top(tmp_path: Path, shapes: tuple[str, ...]):
    labels = labels_of(write(tmp_path / "d", image("a.png", *shapes), image("b.png", subset="val")))
    expected = np.zeros(SIZE, np.uint8)
    expected[2:] = 1
    expected[1:4, 1:4] = 2
    assert np.array_equal(labels, expected)


def test_a_brush_mask_is_run_lengths_of_its_own_rectangle(tmp_path: Path):
    mask = '<mask label="car" rle="1, 2, 3" left="5" top="4" width="3" height="2" z_order="0"></mask>'
    labels = labels_of(write(tmp_path / "d", image("a.png", mask), image("b.png", subset="val")))
    assert np.argwhere(labels == 2).tolist() == [[4, 6], [4, 7]]


def test_ellipses_and_turned_boxes_have_areas(tmp_path: Path):
    shapes = (
        '<ellipse label="road" cx="2" cy="3" rx="2" ry="1"></ellipse>'
        '<box label="car" xtl="4" ytl="2" xbr="8" ybr="4" rotation="90"></box>'
    )
    labels = labels_of(write(tmp_path / "d", image("a.png", shapes), image("b.png", subset="val")))
    # Pixel centres: ((x + 0.5 - 2) / 2)^2 + (y + 0.5 - 3)^2 <= 1.
    assert np.argwhere(labels == 1).tolist() == [[y, x] for y in (2, 3) for x in (0, 1, 2, 3)]
    assert np.argwhere(labels == 2).tolist() == [[y, x] for y in (1, 2, 3, 4) for x in (5, 6)]


def test_points_and_lines_are_left_out_and_said_so(tmp_path: Path):
    line = '<polyline label="road" points="0,0;5,5"></polyline>'
    root = write(tmp_path / "d", image("a.png", ROAD, line), image("b.png", subset="val"))
    assert [problem.code for problem in open_dataset(Data(), root).problems] == ["W221"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<box label="car" xtl="x"></box>', r"box .*'car' .*'xtl'"),
        ('<polygon label="car" points="1,1;2"></polygon>', r"polygon .*\b3\b"),
        ('<polygon label="car" points="a,b"></polygon>', r"polygon .*'car'"),
        (
            '<mask label="car" rle="1,2" left="0" top="0" width="3" height="2"></mask>',
            r"mask .*'car' .*\b3 pixels.* 6",
        ),
    ],
)
def test_a_wrong_shape_is_d230_with_file_and_image(tmp_path: Path, shape: str, message: str):
    root = write(tmp_path / "d", image("a.png", shape), image("b.png", ROAD, subset="val"))
    problem = open_dataset(Data(), root).problems[0]
    assert problem.code == "D230"
    assert "annotations.xml: " in problem.message
    assert "a.png" in problem.message
    assert re.search(message, problem.message)


def test_another_size_is_d230(tmp_path: Path):
    root = write(tmp_path / "d", image("a.png", ROAD, size=(60, 80)), image("b.png", ROAD, subset="val"))
    problem = open_dataset(Data(), root).problems[0]
    assert problem.code == "D230"
    assert re.search(r"80x60 \(WxH\).* 8x6", problem.message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations><image", "unclosed token"),
        ("<annotations><track id='0'></track></annotations>", "video"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "document type"),
    ],
)
def test_a_file_that_cannot_be_used_is_d230(tmp_path: Path, text: str, message: str):
    root = write(tmp_path / "d", image("a.png", ROAD))
    (root / "annotations.xml").write_text(text)
    with pytest.raises(DataError, match=rf"annotations\.xml: .*{message}") as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D230"


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """`Segmentation mask 1.1` of two images, with the list CVAT writes for a task without subsets."""
    root = tmp_path / "export"
    for folder in ("JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for key in ("a", "b"):
        Image.fromarray(np.full((1, 3, 3), ord(key), np.uint8)).save(root / "JPEGImages" / f"{key}.jpg")
        colors = np.array([[(0, 0, 0), (128, 64, 128), (128, 128, 128)]], np.uint8)
        Image.fromarray(colors).save(root / "SegmentationClass" / f"{key}.png")
    (root / "ImageSets/Segmentation/default.txt").write_text("a\nb\n")
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nroad:128,64,128::\nbackground:0,0,0::\nsky:128,128,128::\n"
    )
    return root


def test_segmentation_masks_are_read_by_the_colours_of_the_label_map(masks: Path):
    dataset = open_dataset(Data(), masks)
    assert (dataset.name, dataset.classes) == ("cvat-masks", ("road", "background", "sky"))
    assert dataset.palette == ((128, 64, 128), (0, 0, 0), (128, 128, 128))
    assert read_pair(dataset.samples("train")[0], dataset)[1].tolist() == [[1, 0, 2]]
    assert audit(dataset).errors == ()


def test_a_mask_of_grey_colours_only_is_read_by_its_colours(masks: Path):
    Image.fromarray(np.array([[[128] * 3, [0] * 3, [0] * 3]], np.uint8)).save(masks / "SegmentationClass" / "a.png")
    dataset = open_dataset(Data(), masks)
    samples = [sample for found in dataset.splits.values() for sample in found if sample.id == "a"]
    assert read_pair(samples[0], dataset)[1].tolist() == [[2, 1, 1]]


def test_lists_of_splits_are_followed(masks: Path):
    lists = masks / "ImageSets/Segmentation"
    (lists / "default.txt").unlink()
    (lists / "Train.txt").write_text("b\n")
    (lists / "Validation.txt").write_text("a\n")
    dataset = open_dataset(Data(), masks)
    assert {split: [s.id for s in samples] for split, samples in dataset.splits.items()} == {
        "train": ["b"],
        "val": ["a"],
    }


def test_the_settled_recipe_opens_the_same_tables(masks: Path):
    dataset = open_dataset(Data(), masks)
    assert open_dataset(settled(Data(), dataset), masks) == dataset


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("car:1,2::", r"line 2 .*'car:1,2::'.* name:red,green,blue::"),
        ("car:300,0,0::", r"line 2 .*'car:300,0,0::'.* name:red,green,blue::"),
        ("car:128,64,128::", "'car' and 'road'"),
    ],
)
def test_a_wrong_label_map_is_d230(masks: Path, line: str, message: str):
    (masks / "labelmap.txt").write_text(f"road:128,64,128::\n{line}\n")
    with pytest.raises(DataError, match=r"labelmap\.txt: ") as caught:
        open_dataset(Data(), masks)
    assert caught.value.code == "D230"
    assert re.search(message, caught.value.message)


def test_masks_exported_without_their_images_are_d220(tmp_path: Path):
    (tmp_path / "SegmentationClass").mkdir()
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\nroad:128,64,128::\n")
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "SegmentationClass" / "a.png")
    (problem,) = open_dataset(Data(), tmp_path).problems
    assert (problem.code, problem.total) == ("D220", 1)
    assert "Save images" in problem.fix
    assert str(tmp_path / "JPEGImages") in problem.fix


def test_an_image_that_no_entry_names_is_w222_whatever_is_wrong_with_others(tmp_path: Path):
    broken = '<ellipse label="car" cx="4" cy="x" rx="1" ry="1"></ellipse>'
    root = write(
        tmp_path / "d", image("a.png", ROAD), image("c.png", broken), files=("a.png", "b.png", "c.png")
    )  # fmt: skip
    found = {problem.code: problem.files for problem in open_dataset(Data(), root).problems}
    assert found.keys() == {"D230", "W222"}
    assert found["W222"] == (str(root / "images" / "b.png"),)


def test_a_name_that_two_images_have_is_not_guessed(tmp_path: Path):
    root = write(tmp_path / "d", image("b.png", ROAD), image("x.png", ROAD))
    for folder in ("one", "two"):
        (root / folder).mkdir()
        (root / folder / "x.png").write_bytes((root / "images" / "a.png").read_bytes())
    (problem,) = [p for p in open_dataset(Data(), root).problems if p.code == "D230"]
    assert "x.png" in problem.message
    assert "2 times" in problem.message


@pytest.mark.parametrize(
    ("lines", "classes", "values"),
    [
        # Black is left out (Datumaro), named, or `background` has a colour of its own.
        (("road:128,64,128::", "car:0,0,142::"), ("background", "road", "car"), [0, 1, 2, 0]),
        (("road:128,64,128::", "car:0,0,142::", "void:0,0,0::"), ("road", "car", "void"), [2, 0, 1, 2]),
        (("road:128,64,128::", "car:0,0,142::", "Background:9,9,9::"), ("road", "car", "Background"), [2, 0, 1, 2]),
    ],
)
def test_black_is_the_background_where_the_label_map_does_not_say(
    lines: tuple[str, ...], classes: tuple[str, ...], values: list[int], tmp_path: Path
):
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(lines) + "\n", "utf-8")
    for name in ("a", "b"):
        for folder in ("JPEGImages", "SegmentationClass", "SegmentationObject"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(np.full((1, 4, 3), ord(name), np.uint8)).save(tmp_path / "JPEGImages" / f"{name}.png")
        pixels = np.array([[(0, 0, 0), (128, 64, 128), (0, 0, 142), (0, 0, 0)]], np.uint8)
        Image.fromarray(pixels).save(tmp_path / "SegmentationClass" / f"{name}.png")
        Image.fromarray(pixels).save(tmp_path / "SegmentationObject" / f"{name}.png")
    dataset = open_dataset(Data(), tmp_path)
    assert (dataset.name, dataset.classes) == ("cvat-masks", classes)
    assert [problem.code for problem in dataset.problems] == ([] if "void" in classes else ["W245"])
    for samples in dataset.splits.values():
        for sample in samples:
            assert read_pair(sample, dataset)[1].tolist() == [values]
    assert audit(dataset).errors == ()
