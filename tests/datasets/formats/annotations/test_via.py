import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.annotations.via import via_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (8, 10)
Region = dict[str, Any]


def region(shape: dict[str, Any], **attributes: Any) -> Region:
    return {"shape_attributes": shape, "region_attributes": attributes}


def rect(x: int, y: int, width: int, height: int, **attributes: Any) -> Region:
    return region({"name": "rect", "x": x, "y": y, "width": width, "height": height}, **attributes)


CAR = rect(2, 1, 3, 2, kind="car")


def write(root: Path, images: dict[str, list[Region]], kind: str = "annotations") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name in images:
        pixels = np.random.default_rng(list((root / name).name.encode())).integers(0, 256, (*SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(root / name)
    found: dict[str, Any] = {
        f"{name}9": {"filename": name, "size": 9, "regions": regions, "file_attributes": {}}
        for name, regions in images.items()
    }
    if kind == "table":
        with open(root / "via_export_csv.csv", "w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["filename", "file_size", "file_attributes", "region_count", "region_id",
                            "region_shape_attributes", "region_attributes"])  # fmt: skip
            for name, regions in images.items():
                for number, one in enumerate(regions or [region({})]):
                    cells = (json.dumps(one["shape_attributes"]), json.dumps(one["region_attributes"]))
                    table.writerow([name, 9, "{}", len(regions), number, *cells])
        return root
    if kind == "version 1":
        for one in found.values():
            one["regions"] = {str(number): each for number, each in enumerate(one["regions"])}
    content = found if kind != "project" else {"_via_settings": {}, "_via_img_metadata": found, "_via_attributes": {}}
    (root / "via.json").write_text(json.dumps(content), "utf-8")
    return root


def labels(root: Path) -> dict[str, np.ndarray]:
    dataset = open_dataset(Data(), root)
    assert dataset.name == "via"
    return {
        f"{split}/{sample.image_path.name}": read_pair(sample, dataset)[1]
        for split, samples in dataset.splits.items()
        for sample in samples
    }


def said(root: Path) -> dict[str, str]:
    return {problem.code: problem.message for problem in open_dataset(Data(), root).problems}


@pytest.mark.parametrize("kind", ["annotations", "project", "version 1", "table"])
def test_every_way_to_save_gives_the_same_labels(kind: str, tmp_path: Path):
    tree = region({"name": "polygon", "all_points_x": [0, 10, 10, 0], "all_points_y": [4, 4, 8, 8]}, kind="tree")
    root = write(tmp_path / "data", {"a.png": [tree, CAR], "b.png": []}, kind)
    dataset = open_dataset(Data(), root)
    assert (dataset.classes, dataset.problems) == (("background", "car", "tree"), ())
    expected = np.zeros(SIZE, np.uint8)
    expected[4:] = 2
    expected[1:3, 2:5] = 1
    found = {name.partition("/")[2]: mask for name, mask in labels(root).items()}
    assert np.array_equal(found["a.png"], expected)
    assert not found["b.png"].any()
    assert audit(dataset).errors == ()


def test_a_file_per_split_with_equal_names(tmp_path: Path):
    write(tmp_path / "train", {"a.png": [CAR]})
    write(tmp_path / "val", {"a.png": [rect(0, 0, 10, 8, kind="car")]})
    found = labels(tmp_path)
    assert {name: int(mask.sum()) for name, mask in found.items()} == {"train/a.png": 6, "val/a.png": 80}


def test_circles_and_turned_ellipses_by_hand(tmp_path: Path):
    disc = region({"name": "circle", "cx": 5, "cy": 4, "r": 2}, kind="disc")
    flat = {"name": "ellipse", "cx": 5, "cy": 4, "rx": 4, "ry": 1}
    root = write(tmp_path / "one", {"a.png": [disc], "b.png": [region(flat | {"theta": math.pi / 2}, kind="disc")]})
    found = {name.partition("/")[2]: mask for name, mask in labels(root).items()}
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    assert np.array_equal(found["a.png"], (columns - 5) ** 2 + (rows - 4) ** 2 <= 4)
    assert np.array_equal(found["b.png"], (columns - 5) ** 2 + ((rows - 4) / 4) ** 2 <= 1)


@pytest.mark.parametrize(
    ("attributes", "label"),
    [
        ({}, "object"),
        ({"anything": "car"}, "car"),
        ({"class": "car", "occluded": "yes"}, "car"),
        ({"Label": "car", "score": "3"}, "car"),
        ({"kind": {"car": True, "tree": False}}, "car"),
        ({"kind": "car", "note": ""}, "car"),
    ],
)
def test_the_class_is_the_only_attribute_or_the_one_called_so(attributes: dict[str, Any], label: str, tmp_path: Path):
    root = write(tmp_path / "data", {"a.png": [rect(2, 1, 3, 2, **attributes)], "b.png": []})
    assert open_dataset(Data(), root).classes == ("background", label)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (rect(2, 1, 3, 2), "no value of 'kind'"),
        (rect(2, 1, 3, 2, kind="not_defined"), "no value of 'kind'"),
        (rect(2, 1, 3, 2, kind={"car": True, "tree": True}), "several values of 'kind': car, tree"),
        (region({"name": "rect", "x": 1}, kind="car"), "'y'"),
        (region({"name": "star"}, kind="car"), "unknown type 'star'"),
        (region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, kind="car"), "2 columns and 1 rows"),
    ],
)
def test_a_region_that_cannot_be_drawn_leaves_its_image_out(one: Region, message: str, tmp_path: Path):
    root = write(tmp_path / "data", {"a.png": [CAR], "b.png": [CAR], "c.png": [CAR, one]})
    assert {name.partition("/")[2] for name in labels(root)} == {"a.png", "b.png"}
    assert message in said(root)["D230"]


def test_several_attributes_none_of_which_is_the_class_are_said(tmp_path: Path):
    root = write(tmp_path / "data", {"a.png": [rect(2, 1, 3, 2, kind="car", state="old")], "b.png": []})
    assert "'kind', 'state'; call the one" in said(root)["D230"]


def test_whatever_is_superfluous_is_said(tmp_path: Path):
    point = region({"name": "point", "cx": 1, "cy": 1}, kind="car")
    root = write(tmp_path / "data", {"a.png": [CAR, point], "b.png": [CAR], "lost.png": [CAR]})
    (root / "lost.png").unlink()
    (root / "photo.heic").write_bytes(b"x")
    Image.new("RGB", SIZE[::-1]).save(root / "plain.png")
    found = said(root)
    assert found.keys() == {"D230", "W215", "W221", "W222"}
    assert "lost.png does not exist" in found["D230"]
    assert "plain.png" in found["W222"]


def test_a_damaged_file_is_said(tmp_path: Path):
    root = write(tmp_path / "data", {"a.png": [CAR], "b.png": [CAR]})
    (root / "more.json").write_text('{"a": {"shape_attributes"', "utf-8")
    assert "more.json" in said(root)["D230"]


def test_a_table_that_is_named_like_a_list_is_none(tmp_path: Path):
    root = write(tmp_path / "data", {"a.png": [CAR], "b.png": [CAR]}, "table")
    (root / "via_export_csv.csv").rename(root / "train.csv")
    assert len(labels(root)) == 2


def test_other_files_are_not_vias(tmp_path: Path):
    (tmp_path / "a.json").write_text("{}", "utf-8")
    (tmp_path / "a.csv").write_text("image,mask\n", "utf-8")
    assert via_layout(tmp_path) is None
