import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.annotations.labelme import labelme_layout
from pixelwise.datasets.layouts import outlines as drawing
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (8, 10)
Shape = dict[str, Any]


def shape(label: str, points: list[list[float]], kind: str = "polygon", **more: Any) -> Shape:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def box(label: str, left: float, top: float, right: float, bottom: float) -> Shape:
    return shape(label, [[left, top], [right, bottom]], "rectangle")


def write(root: Path, key: str, *shapes: Shape, **changed: Any) -> Path:
    """`key.jpg` and `key.json` as LabelMe 5 writes them."""
    image = root / f"{key}.jpg"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), len(key) * 9, np.uint8)).save(image)
    content = {
        "version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": image.name, "imageData": None,
        "imageHeight": SIZE[0], "imageWidth": SIZE[1], **changed,
    }  # fmt: skip
    file = root / f"{key}.json"
    file.write_text(json.dumps(content))
    return file


def labels_of(root: Path, data: Data | None = None, split: str = "train") -> np.ndarray:
    dataset = open_dataset(data or Data(), root)
    return read_pair(dataset.samples(split)[0], dataset)[1]


def codes(root: Path) -> list[str]:
    return [problem.code for problem in open_dataset(Data(), root).problems]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "street"
    write(folder, "train/a", box("road", 0, 4, 10, 8), box("car", 2, 3, 5, 6))
    write(folder, "val/b", box("road", 0, 0, 10, 8))
    return folder


def test_a_json_file_beside_each_image_is_recognised(root: Path):
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.classes) == ("labelme", ("background", "car", "road"))
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "val": 1}
    assert dataset.problems == ()
    assert audit(dataset).errors == ()


def test_later_shapes_lie_over_earlier_ones(root: Path):
    expected = np.zeros(SIZE, np.uint8)
    expected[4:] = 2
    expected[3:6, 2:5] = 1
    assert np.array_equal(labels_of(root), expected)


def test_without_folders_of_splits_the_images_are_divided(tmp_path: Path):
    for i in range(12):
        write(tmp_path / "data", f"frame{i}", box("road", 0, 0, 5, 5))
    dataset = open_dataset(Data(), tmp_path / "data")
    assert len(dataset.splits["train"]) + len(dataset.splits["val"]) == 12
    assert len(dataset.splits["val"]) >= 1


def test_polygons_circles_and_masks_have_areas(tmp_path: Path):
    content = io.BytesIO()
    Image.fromarray(np.array([[0, 255], [255, 255]], np.uint8)).save(content, "PNG")
    write(
        tmp_path / "data",
        "train/a",
        shape("triangle", [[0, 0], [4, 0], [0, 4]]),
        shape("disc", [[7.5, 2.5], [7.5, 4.0]], "circle"),
        shape("stamp", [[3, 6], [4, 7]], "mask", mask=base64.b64encode(content.getvalue()).decode()),
    )
    names = ("background", "triangle", "disc", "stamp")
    labels = labels_of(tmp_path / "data", Data(classes=names))
    assert labels[0, :5].tolist() == [1, 1, 1, 0, 0]
    # Pixel centres within 1.5 of (7.5, 2.5): a plus of radius 1 and its corners.
    assert np.argwhere(labels == 2).tolist() == [[y, x] for y in (1, 2, 3) for x in (6, 7, 8)]
    assert np.argwhere(labels == 3).tolist() == [[6, 4], [7, 3], [7, 4]]


def test_points_and_lines_are_left_out_and_said_so(root: Path):
    write(root, "train/a", shape("road", [[1, 1]], "point"), shape("road", [[1, 1], [5, 5]], "line"))
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "W221"
    assert problem.message.startswith("2 ")
    assert "(line, point)" in problem.message
    assert str(root / "train" / "a.json") in problem.message
    assert not labels_of(root).any()


def test_ignored_and_background_labels_have_their_meaning(root: Path):
    write(root, "train/a", box("__ignore__", 0, 0, 10, 8), box("_background_", 0, 0, 2, 8), box("car", 4, 0, 6, 8))
    labels = labels_of(root)
    assert labels[0].tolist() == [0, 0, 255, 255, 1, 1, 255, 255, 255, 255]


def test_dataset_toml_orders_the_classes(root: Path):
    (root / "dataset.toml").write_text('classes = ["background", "road", "car"]')
    assert labels_of(root)[[0, 7, 4], [0, 0, 2]].tolist() == [0, 1, 2]


def test_without_a_class_for_background_what_nobody_outlined_is_ignored(root: Path):
    assert labels_of(root, Data(classes=("road", "car")))[[0, 7, 4], [0, 0, 2]].tolist() == [255, 0, 1]


def test_labels_can_be_merged_and_ignored(root: Path):
    dataset = open_dataset(Data(labels={"road": 1, "car": 1}), root)
    assert dataset.classes == ("background", "road")
    assert sorted(set(labels_of(root, Data(labels={"road": 1, "car": 255})).ravel().tolist())) == [0, 1, 255]


def test_a_label_without_a_class_is_d207_with_a_fix(root: Path):
    data = Data(classes=("background", "road"))
    (problem,) = open_dataset(data, root).problems
    assert problem.code == "D207"
    assert "data.classes" in problem.message
    assert all(f"'{name}'" in problem.message for name in ("car", "background", "road"))
    assert """'data.labels={"background" = 0, "road" = 1, "car" = 255}'""" in problem.fix


def test_a_settled_recipe_keeps_its_classes_when_labels_are_added(root: Path):
    data = settled(Data(), open_dataset(Data(), root))
    assert data.labels == {"background": 0, "road": 2, "car": 1, "__ignore__": 255}
    assert data.label_map is None
    before = labels_of(root, data)
    write(root, "train/0", box("ant", 0, 0, 1, 1))
    dataset = open_dataset(data, root)
    assert [problem.code for problem in dataset.problems] == ["D207"]
    assert np.array_equal(read_pair(dataset.samples("train")[1], dataset)[1], before)


def test_masks_are_drawn_once_until_a_file_changes(root: Path, monkeypatch: pytest.MonkeyPatch):
    first = open_dataset(Data(), root)
    monkeypatch.setattr(drawing, "draw_polygon", None)
    assert open_dataset(Data(), root) == first
    monkeypatch.undo()
    write(root, "train/a", box("road", 0, 0, 3, 3), box("lamp", 0, 0, 1, 1))
    assert "lamp" in open_dataset(Data(), root).classes


def test_nothing_is_written_beside_the_data(root: Path):
    before = sorted(root.rglob("*"))
    open_dataset(Data(), root)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shapes": [{"label": "road"}]}, r"Object missing required field `points`"),
        ({"shapes": [shape("road", [[0, 0], [1, 1]])]}, r"polygon .*'road' .*\b2 .*\b3\b"),
        ({"shapes": [shape("road", [[0, 0]], "star")]}, r"'road' .*'star'"),
        ({"shapes": [shape("x", [[0, 0], [1, 1]], "mask", mask="?")]}, r"mask .*'x'"),
        ({"imageHeight": 16}, r"10x16 \(WxH\).* 10x8"),
        ({"shapes": [shape("road", [[0, 0], [1e9, 0], [0, 5]])]}, r"polygon .*1e\+09.* 10x8 \(WxH\)"),
    ],
)
def test_a_wrong_annotation_is_d230_with_its_file(root: Path, changed: dict[str, Any], message: str):
    write(root, "train/c", **changed)
    dataset = open_dataset(Data(), root)
    (problem,) = dataset.problems
    assert problem.code == "D230"
    assert problem.message.startswith(f"{root}/train/c.json: ")
    assert re.search(message, problem.message)
    assert [sample.id for sample in dataset.samples("train")] == ["train/a"]


def test_a_truncated_file_is_d230(root: Path):
    file = root / "train" / "a.json"
    file.write_text(file.read_text()[:-40])
    assert codes(root) == ["D230"]


def test_several_wrong_files_are_one_finding(root: Path):
    for key in ("train/c", "train/d"):
        write(root, key, imageHeight=9)
    (problem,) = open_dataset(Data(), root).problems
    assert (problem.code, problem.total) == ("D230", 2)
    assert problem.message.startswith("2 ")
    assert str(root / "train" / "c.json") in problem.message


def test_an_annotation_without_its_image_is_d230(root: Path):
    (root / "val" / "b.jpg").unlink()
    (problem, *_) = open_dataset(Data(), root).problems
    assert problem.code == "D230"
    assert "b.json: " in problem.message
    assert "b.jpg" in problem.message


def test_images_without_annotation_are_left_out_with_a_warning(root: Path):
    (root / "train" / "a.json").rename(root / "train" / "z.json")
    write(root, "train/y", box("road", 0, 0, 2, 2))
    (root / "train" / "z.json").unlink()
    assert codes(root) == ["W222"]


def test_a_damaged_image_is_the_audits_business(root: Path):
    (root / "train" / "a.jpg").write_bytes(b"nothing")
    assert [found.code for found in audit(open_dataset(Data(), root)).errors] == ["D102"]


def test_the_image_may_lie_elsewhere(tmp_path: Path):
    root = tmp_path / "data"
    write(root, "train/a", box("road", 0, 0, 2, 2), imagePath="..\\photos\\a.jpg")
    (root / "photos").mkdir()
    (root / "train" / "a.jpg").rename(root / "photos" / "a.jpg")
    dataset = open_dataset(Data(dataset="labelme"), root)
    assert [sample.image_path.name for samples in dataset.splits.values() for sample in samples] == ["a.jpg"]


def test_other_json_files_are_not_labelmes(tmp_path: Path):
    (tmp_path / "a.json").write_text("{}")
    assert labelme_layout(tmp_path) is None
    with pytest.raises(DataError) as caught:
        open_dataset(Data(), tmp_path)
    assert caught.value.code == "D222"


@pytest.mark.parametrize(
    "one",
    [
        shape("car", [[2, 1], [6, 4]], "rectangle"),
        shape("car", [[6, 4], [2, 1]], "rectangle"),
        shape("car", [[2, 1], [6, 1], [6, 4], [2, 4]], "rectangle"),
        shape("car", [[2, 1], [6, 4], [6, 1], [2, 4]], "rectangle"),  # corners in no order
        shape("car", [[2, 1], [6, 1], [6, 4], [2, 4]], "rotation", direction=0.0, difficult=False, attributes={}),
        shape("car", [[2, 1], [6, 1], [6, 4], [2, 4]], "oriented_rectangle"),
        shape("car", [[2, 1], [6, 1], [6, 4], [2, 4]], "quadrilateral"),
        shape("car", [[2, 1], [6, 1], [6, 4], [2, 4]], None),
        shape("car", [[2, 1], [6, 1], [6, 4], [2, 4], [2, 1]], "polygon", description=None, score=0.9),
    ],
)
def test_a_rectangle_is_the_same_in_whatever_way_it_is_written(one: Shape, tmp_path: Path):
    write(tmp_path / "data", "train/a", one)
    expected = np.zeros(SIZE, np.uint8)
    expected[1:4, 2:6] = 1
    assert np.array_equal(labels_of(tmp_path / "data"), expected)


def test_a_rotated_rectangle_by_hand(tmp_path: Path):
    # A square on its corner: |x - 5| + |y - 4| <= 3; the pixel centres that lie within it.
    write(tmp_path / "data", "train/a", shape("car", [[5, 1], [8, 4], [5, 7], [2, 4]], "rotation", direction=0.785))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    labels = labels_of(tmp_path / "data") > 0
    distance = np.abs(columns - 5) + np.abs(rows - 4)
    assert labels[distance < 3].all()
    assert not labels[distance > 3].any()


@pytest.mark.parametrize("kind", ["point", "line", "linestrip", "points", "polyline"])
def test_every_shape_without_an_area_is_said(kind: str, root: Path):
    write(root, "train/a", shape("road", [[1, 1], [5, 5], [2, 7]], kind))
    (problem,) = open_dataset(Data(), root).problems
    assert (problem.code, f"({kind})" in problem.message) == ("W221", True)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (shape("x", [[1, 1], [2, 2], [3, 3]], "rectangle"), "3 points; expected 2 or 4"),
        (shape("x", [[1, 1], [2, 2]], "rotation"), "2 points; expected 4"),
        (shape("x", [[1, 1]] * 8, "cuboid"), "unknown type 'cuboid'"),
        (shape("x", [[0, 0], [7, 7]], "mask", mask="STAMP"), "has 2x2 pixels (WxH), but its points enclose 8x8"),
    ],
)
def test_shapes_that_cannot_be_drawn_are_said(one: Shape, message: str, root: Path):
    content = io.BytesIO()
    Image.fromarray(np.ones((2, 2), bool)).save(content, "PNG")
    one = {**one, "mask": base64.b64encode(content.getvalue()).decode()} if "mask" in one else one
    write(root, "train/c", one)
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "D230"
    assert message in problem.message


def embedded(root: Path, key: str, kind: str = "PNG") -> None:
    """A JSON file that contains its image, which exists nowhere else: pixels of value 7 + the length of its key."""
    file = write(root, key, box("road", 0, 4, 10, 8))
    content = io.BytesIO()
    Image.fromarray(np.full((*SIZE, 3), 7 + len(key), np.uint8)).save(content, kind)
    described = json.loads(file.read_text("utf-8"))
    described["imageData"] = base64.b64encode(content.getvalue()).decode()
    file.write_text(json.dumps(described), "utf-8")
    (root / f"{key}.jpg").unlink()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_images_that_exist_only_inside_the_json_files_are_read(kind: str, tmp_path: Path):
    for key in ("train/a", "train/bc", "val/a"):
        embedded(tmp_path / "data", key, kind)
    dataset = open_dataset(Data(), tmp_path / "data")
    assert {name: [sample.id for sample in found] for name, found in dataset.splits.items()} == {
        "train": ["train/a", "train/bc"],
        "val": ["val/a"],
    }
    assert dataset.problems == ()
    assert "3 of the images are those inside the JSON files" in dataset.layout
    for samples in dataset.splits.values():
        for sample in samples:
            image, labels = read_pair(sample, dataset)
            assert (image == 7 + len(sample.id)).all()
            assert labels.sum() == 40
    assert {path.suffix for path in (tmp_path / "data").rglob("*.*")} == {".json"}


def test_an_image_that_exists_is_preferred_to_the_copy_inside(root: Path):
    file = write(root, "train/a", box("road", 0, 4, 10, 8), imageData=base64.b64encode(b"\x89PNG junk").decode())
    assert file.is_file()
    dataset = open_dataset(Data(), root)
    assert (dataset.problems, [s.image_path.parent.name for s in dataset.samples("train")]) == ((), ["train"])


@pytest.mark.parametrize("data", ["no base64!", base64.b64encode(b"plain text").decode()])
def test_a_copy_that_is_no_image_is_said(data: str, root: Path):
    write(root, "train/c", box("road", 0, 4, 10, 8), imageData=data)
    (root / "train" / "c.jpg").unlink()
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "D230"
    assert "does not exist" in problem.message
    assert "its imageData is no image" in problem.message
