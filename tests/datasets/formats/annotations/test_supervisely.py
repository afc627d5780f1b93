import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.annotations.supervisely import supervisely_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (8, 10)
Object = dict[str, Any]


def polygon(title: str, outline: list[list[float]], *holes: list[list[float]], kind: str = "polygon") -> Object:
    return {"classTitle": title, "geometryType": kind, "points": {"exterior": outline, "interior": list(holes)}}


def bitmap(title: str, mask: np.ndarray, left: int, top: int, mode: str = "1") -> Object:
    stored = io.BytesIO()
    if mode == "RGBA":
        alpha = Image.fromarray(mask.astype(np.uint8) * 255)
        Image.merge("RGBA", (*(Image.new("L", alpha.size),) * 3, alpha)).save(stored, "PNG")
    else:
        Image.fromarray(mask).convert(mode).save(stored, "PNG")
    data = base64.b64encode(zlib.compress(stored.getvalue())).decode()
    return {"classTitle": title, "geometryType": "bitmap", "bitmap": {"data": data, "origin": [left, top]}}


CAR = polygon("car", [[2, 1], [4, 2]], kind="rectangle")  # columns 2 to 4, rows 1 to 2


def write(root: Path, key: str, *objects: Object, tags: tuple[str, ...] = (), old: bool = False) -> Path:
    folder, name = root / key.rpartition("/")[0], key.rpartition("/")[2]
    image = folder / "img" / f"{name}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(list(key.encode())).integers(0, 256, (*SIZE, 3), np.uint8)).save(image)
    file = folder / "ann" / (f"{name}.json" if old else f"{name}.png.json")
    file.parent.mkdir(exist_ok=True)
    size = {"height": SIZE[0], "width": SIZE[1]}
    found = [{"name": tag, "value": None} for tag in tags]
    content = {"description": "", "tags": found, "size": size, "objects": list(objects), "customBigData": {}}
    file.write_text(json.dumps(content), "utf-8")
    classes = [{"title": name, "shape": "any", "color": "#FF0000"} for name in ("tree", "car", "never")]
    (root / "meta.json").write_text(json.dumps({"classes": classes, "tags": [], "projectType": "images"}), "utf-8")
    return file


def labels(root: Path) -> dict[str, np.ndarray]:
    dataset = open_dataset(Data(), root)
    assert dataset.name == "supervisely"
    return {
        f"{split}/{sample.image_path.stem}": read_pair(sample, dataset)[1]
        for split, samples in dataset.splits.items()
        for sample in samples
    }


def said(root: Path) -> dict[str, str]:
    return {problem.code: problem.message for problem in open_dataset(Data(), root).problems}


def test_data_sets_named_like_splits_with_equal_names_and_the_order_of_the_classes(tmp_path: Path):
    write(tmp_path, "train/a", CAR)
    write(tmp_path, "val/a", polygon("tree", [[0, 0], [9, 7]], kind="rectangle"))
    dataset = open_dataset(Data(), tmp_path)
    assert (dataset.classes, dataset.problems) == (("background", "tree", "car", "never"), ())
    found = labels(tmp_path)
    expected = np.zeros(SIZE, np.uint8)
    expected[1:3, 2:5] = 2
    assert np.array_equal(found["train/a"], expected)
    assert (found["val/a"] == 1).all()
    assert audit(dataset).errors == ()


def test_a_polygon_with_a_hole_by_hand(tmp_path: Path):
    square, hole = [[1, 1], [7, 1], [7, 6], [1, 6]], [[3, 3], [5, 3], [5, 4], [3, 4]]
    write(tmp_path, "train/a", polygon("car", square, hole))
    write(tmp_path, "val/b", CAR)
    expected = np.zeros(SIZE, np.uint8)
    expected[1:7, 1:8] = 2  # the outline belongs to the object
    expected[3:5, 3:6] = 0
    assert np.array_equal(labels(tmp_path)["train/a"], expected)


@pytest.mark.parametrize("mode", ["1", "L", "RGBA"])
@pytest.mark.parametrize(("left", "top"), [(3, 2), (-1, -1), (8, 6)])
def test_bitmaps_lie_at_their_origin(mode: str, left: int, top: int, tmp_path: Path):
    mask = np.array([[True, False, True], [True, True, False], [False, True, True]])
    write(tmp_path, "train/a", bitmap("car", mask, left, top, mode))
    write(tmp_path, "val/b", CAR)
    padded = np.zeros((16, 16), np.uint8)
    padded[2 + top : 5 + top, 2 + left : 5 + left] = 2 * mask
    assert np.array_equal(labels(tmp_path)["train/a"], padded[2 : 2 + SIZE[0], 2 : 2 + SIZE[1]])


def test_later_objects_lie_over_earlier_ones(tmp_path: Path):
    write(tmp_path, "train/a", polygon("tree", [[0, 0], [9, 7]], kind="rectangle"), CAR)
    write(tmp_path, "val/b", CAR)
    assert np.bincount(labels(tmp_path)["train/a"].ravel()).tolist() == [0, 80 - 6, 6]


def test_tags_name_the_split_of_an_image(tmp_path: Path):
    for name, tag in (("a", "train"), ("b", "val"), ("c", "test"), ("d", "Validation")):
        write(tmp_path, f"ds1/{name}", CAR, tags=(tag, "night"))
    write(tmp_path, "ds2/e", CAR)
    assert set(labels(tmp_path)) == {"train/a", "val/b", "test/c", "val/d"}
    assert "e.png" in said(tmp_path)["W216"]
    write(tmp_path, "ds2/e", CAR, tags=("train", "val"))
    assert "tagged train and val" in said(tmp_path)["D230"]


def test_several_data_sets_within_each_other_and_old_names(tmp_path: Path):
    for key in ("ds1/a", "ds2/a", "ds2/datasets/deep/a", "ds1/b"):
        write(tmp_path, key, CAR, old=key == "ds1/b")
    dataset = open_dataset(Data(), tmp_path)
    assert sum(map(len, dataset.splits.values())) == 4
    assert dataset.problems == ()


def test_a_single_data_set_without_the_project(tmp_path: Path):
    for key in ("ds1/a", "ds1/b"):
        write(tmp_path, key, CAR)
    (tmp_path / "meta.json").unlink()
    assert open_dataset(Data(), tmp_path / "ds1").classes == ("background", "car")


def test_masks_that_were_rendered_are_not_taken_instead(tmp_path: Path):
    root = tmp_path / "data"
    for key in ("ds1/a", "ds1/b"):
        write(root, key, CAR)
        for folder in ("masks_machine", "masks_human"):
            path = root / "ds1" / folder / f"{key[-1]}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", SIZE[::-1], (9, 0, 0)).save(path)
    assert len(labels(root)) == 2
    assert said(root) == {}


def test_whatever_is_superfluous_is_said(tmp_path: Path):
    write(tmp_path, "train/a", CAR, {"classTitle": "car", "geometryType": "point", "points": {"exterior": [[1, 1]]}})
    write(tmp_path, "val/b", CAR)
    write(tmp_path, "val/lost", CAR)
    (tmp_path / "val/img/lost.png").unlink()
    write(tmp_path, "val/plain", CAR).unlink()
    (tmp_path / "val/ann/other.json").write_text("{}", "utf-8")
    (tmp_path / "val/img/photo.heic").write_bytes(b"x")
    found = said(tmp_path)
    assert found.keys() == {"D230", "W215", "W221", "W222", "W223"}
    assert "lost.png does not exist" in found["D230"]
    assert "(point)" in found["W221"]
    assert "plain.png" in found["W222"]
    assert "other.json" in found["W223"]


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (polygon("car", [[1, 1], [2, 2]]), "2 points; expected 3"),
        (polygon("car", [[1, 1]], kind="rectangle"), "1 points; expected 2"),
        (polygon("car", [[1, 1], [2, 2], [1, 1e9]]), "far outside"),
        (polygon("car", [[1, 1], [2, 2], [3, 3]], kind="cuboid"), "a cuboid of 'car' cannot be read"),
        (bitmap("car", np.ones((3, 40), bool), 0, 0), "40x3 pixels"),
        ({"classTitle": "car", "geometryType": "bitmap", "bitmap": {"data": "?", "origin": [0, 0]}}, "decoded"),
        ({"classTitle": "car", "geometryType": "bitmap"}, "cannot be read"),
        ({"geometryType": "polygon"}, "classTitle"),
    ],
)
def test_an_object_that_cannot_be_drawn_leaves_its_image_out(one: Object, message: str, tmp_path: Path):
    for key in ("train/a", "val/b"):
        write(tmp_path, key, CAR)
    write(tmp_path, "train/c", CAR, one)
    assert set(labels(tmp_path)) == {"train/a", "val/b"}
    assert message in said(tmp_path)["D230"]


@pytest.mark.parametrize("spoil", [lambda file: file.write_text("{"), lambda file: file.write_text('{"classes": 1}')])
def test_a_project_that_cannot_be_read_is_d230(spoil: Callable[[Path], object], tmp_path: Path):
    write(tmp_path, "train/a", CAR)
    spoil(tmp_path / "meta.json")
    with pytest.raises(DataError, match=r"meta\.json") as caught:
        open_dataset(Data(), tmp_path)
    assert caught.value.code == "D230"


def test_other_folders_are_not_superviselys(tmp_path: Path):
    assert supervisely_layout(tmp_path) is None
    for folder in ("img", "ann"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ann" / "a.json").write_text("{}", "utf-8")
    assert supervisely_layout(tmp_path) is None
