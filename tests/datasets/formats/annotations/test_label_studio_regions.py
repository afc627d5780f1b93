import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pixelwise.datasets.formats.annotations.label_studio_regions import decode_brush
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (10, 20)
LENGTHS = (3, 4, 8, 16)


def encode_brush(mask: np.ndarray, *, literal: bool = False) -> list[int]:
    """The stream for a bool mask, written bit by bit: runs, or with `literal` values one after the other."""
    values = np.repeat(mask.astype(np.uint8) * 255, 4).tolist()
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in LENGTHS)
    start = 0
    while start < len(values):
        end = start + 1
        if literal:
            end = min(start + 5, len(values))
        else:
            while end < len(values) and values[end] == values[start] and end - start < 2**16:
                end += 1
        size = next(index for index, length in enumerate(LENGTHS) if end - start <= 2**length)
        bits += f"{0 if literal else 1}{size:02b}{end - start - 1:0{LENGTHS[size]}b}"
        bits += "".join(f"{value:08b}" for value in (values[start:end] if literal else values[start : start + 1]))
        start = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[index : index + 8], 2) for index in range(0, len(bits), 8)]


@pytest.mark.heavy
def test_the_encoder_of_these_tests_begins_as_a_real_export_does():
    # Of an export of a picture of 3332x2527: 32 bits of 4 x 3332 x 2527, words of 8 bits, lengths of 3, 4, 8 and 16.
    assert encode_brush(np.zeros((2527, 3332), bool))[:6] == [2, 1, 233, 240, 57, 27]


@settings(deadline=None, max_examples=40)
@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))), st.booleans())
def test_every_brush_stroke_survives(mask: np.ndarray, literal: bool):
    assert np.array_equal(decode_brush(encode_brush(mask, literal=literal), *mask.shape), mask)


def test_only_the_alpha_channel_says_what_is_brushed():
    # Two pixels, (255, 255, 255, 0) and (0, 0, 0, 1), written as eight values.
    bits = f"{8:032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in LENGTHS) + "000" + f"{7:03b}"
    bits += "".join(f"{value:08b}" for value in (255, 255, 255, 0, 0, 0, 0, 1))
    bits += "0" * (-len(bits) % 8)
    packed = [int(bits[index : index + 8], 2) for index in range(0, len(bits), 8)]
    assert decode_brush(packed, 1, 2).tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        ([], "truncated"),
        (encode_brush(np.zeros((4, 4), bool)), r"\b64 .*\b8 .*\b400 .*\b8.* 10x10"),
        (encode_brush(np.eye(10, dtype=bool))[:-3], "truncated"),
        ([256], "bytes"),
        ("abc", "bytes"),
    ],
)
def test_a_damaged_stream_is_refused(packed: list[int], message: str):
    with pytest.raises(ValueError, match=message):
        decode_brush(packed, 10, 10)


def region(kind: str, value: dict[str, object], label: str | None, id: str = "r", **more: object) -> dict[str, object]:
    labels = {} if label is None else {kind: [label]}
    size = {"original_width": SIZE[1], "original_height": SIZE[0]}
    return {"id": id, "type": kind, "value": value | labels, "image_rotation": 0, **size, **more}


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def write(root: Path, results: dict[str, list[dict[str, object]]]) -> Path:
    tasks = []
    for number, (name, result) in enumerate(results.items(), start=1):
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*SIZE, 3), number, np.uint8)).save(path)
        address = f"/data/upload/7/{number:08x}-{name}"
        tasks.append({"id": number, "data": {"image": address}, "annotations": [{"id": number, "result": result}]})
    (root / "project-7.json").write_text(json.dumps(tasks))
    return root


def labels(root: Path, name: str = "a.png") -> np.ndarray:
    dataset = open_dataset(Data(), root)
    (sample,) = [s for samples in dataset.splits.values() for s in samples if s.image_path.name == name]
    return read_pair(sample, dataset)[1]


def test_polygons_are_in_percent_of_the_sides(tmp_path: Path):
    shape = region("polygonlabels", {"points": box(10, 20, 50, 60), "closed": True}, "road")
    root = write(tmp_path / "ls", {"a.png": [shape], "b.png": []})
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.classes, dataset.problems) == ("label-studio", ("background", "road"), ())
    expected = np.zeros(SIZE, int)
    expected[2:6, 2:10] = 1
    assert np.array_equal(labels(root), expected)
    assert not labels(root, "b.png").any()


def test_brush_strokes_and_polygons_mix_the_smaller_on_top(tmp_path: Path):
    mask = np.zeros(SIZE, bool)
    mask[3:5, 3:5] = True
    brush = region("brushlabels", {"format": "rle", "rle": encode_brush(mask)}, "car")
    large = region("polygonlabels", {"points": box(0, 0, 100, 100)}, "road")
    found = labels(write(tmp_path / "ls", {"a.png": [brush, large]}))
    assert np.array_equal(found, np.where(mask, 1, 2))


def test_rectangles_turn_about_their_upper_left_corner(tmp_path: Path):
    value = {"x": 50, "y": 0, "width": 20, "height": 30}
    upright = labels(write(tmp_path / "one", {"a.png": [region("rectanglelabels", value | {"rotation": 0}, "car")]}))
    turned = labels(write(tmp_path / "two", {"a.png": [region("rectanglelabels", value | {"rotation": 90}, "car")]}))
    for found, rows, columns in ((upright, slice(0, 3), slice(10, 14)), (turned, slice(0, 4), slice(7, 10))):
        expected = np.zeros(SIZE, int)
        expected[rows, columns] = 1
        assert np.array_equal(found, expected)


def test_ellipses_turn_about_their_centre(tmp_path: Path):
    value = {"x": 50, "y": 50, "radiusX": 25, "radiusY": 20}
    upright = labels(write(tmp_path / "one", {"a.png": [region("ellipselabels", value, "ball")]}))
    assert np.flatnonzero(upright.any(axis=0)).tolist() == list(range(5, 15))
    assert np.flatnonzero(upright.any(axis=1)).tolist() == list(range(3, 7))
    turned = labels(write(tmp_path / "two", {"a.png": [region("ellipselabels", value | {"rotation": 90}, "ball")]}))
    assert np.flatnonzero(turned.any(axis=0)).tolist() == list(range(8, 12))
    assert turned.any(axis=1).all()


def test_a_region_that_is_written_twice_is_drawn_once_with_its_label(tmp_path: Path):
    value = {"points": box(0, 0, 50, 100)}
    pair = [region("polygon", value, None), region("labels", value, "road")]
    assert labels(write(tmp_path / "ls", {"a.png": pair}))[0].tolist() == [1] * 10 + [0] * 10


def test_the_latest_finished_annotation_of_a_task_counts(tmp_path: Path):
    root = write(tmp_path / "ls", {"a.png": [region("polygonlabels", {"points": box(0, 0, 100, 100)}, "road")]})
    export = root / "project-7.json"
    (task,) = json.loads(export.read_text())
    newer = region("polygonlabels", {"points": box(0, 0, 100, 100)}, "car")
    task["annotations"] += [{"id": 9, "result": [newer]}, {"id": 10, "result": [], "was_cancelled": True}]
    export.write_text(json.dumps([task]))
    assert open_dataset(Data(), root).classes == ("background", "car")


def test_regions_without_an_area_are_w221_and_other_answers_are_nothing(tmp_path: Path):
    point = region("keypointlabels", {"x": 1, "y": 1, "width": 0.5}, "nose")
    choice = {"id": "c", "type": "choices", "value": {"choices": ["night"]}}
    root = write(tmp_path / "ls", {"a.png": [point, choice], "b.png": []})
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "W221"
    assert "keypoint" in problem.message


def test_an_image_that_no_task_annotates_is_w222(tmp_path: Path):
    root = write(tmp_path / "ls", {"a.png": [region("polygonlabels", {"points": box(0, 0, 100, 100)}, "road")]})
    Image.new("RGB", SIZE[::-1]).save(root / "images" / "c.png")
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "W222"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (region("brushlabels", {"rle": [1, 2]}, "car"), "truncated"),
        (region("polygonlabels", {"points": box(0, 0, 9, 9)}, None), r"'r' .*\b0 labels"),
        (region("polygonlabels", {"points": box(0, 0, 9, 9)}, "car", image_rotation=90), r"\b90 degrees"),
        (region("polygonlabels", {"points": box(0, 0, 9, 9)}, "car", original_width=40), r"\b40x10\b"),
        (region("polygonlabels", {"points": "x"}, "car"), r"task 1, a\.png"),
        (region("ellipselabels", {"radiusX": 3}, "car"), r"task 1, a\.png"),
    ],
)
def test_what_cannot_be_drawn_is_d230_with_its_image(tmp_path: Path, shape: dict[str, object], message: str):
    root = write(tmp_path / "ls", {"a.png": [shape], "b.png": []})
    (problem,) = [p for p in open_dataset(Data(), root).problems if p.code == "D230"]
    assert re.search(message, problem.message)
    assert "a.png" in problem.message


def test_an_image_that_is_not_there_is_d230(tmp_path: Path):
    root = write(tmp_path / "ls", {"a.png": [], "b.png": []})
    (root / "images" / "a.png").unlink()
    (problem,) = [p for p in open_dataset(Data(), root).problems if p.code == "D230"]
    assert "task 1, 00000001-a.png" in problem.message


def test_a_name_that_two_images_have_is_not_guessed(tmp_path: Path):
    shape = region("polygonlabels", {"points": box(0, 0, 100, 100)}, "road")
    root = write(tmp_path / "ls", {"a.png": [shape], "b.png": [shape]})
    (root / "images" / "other").mkdir()
    (root / "images" / "other" / "a.png").write_bytes((root / "images" / "a.png").read_bytes())
    (problem,) = [p for p in open_dataset(Data(), root).problems if p.code == "D230"]
    assert "task 1, 00000001-a.png" in problem.message
    assert "2 times" in problem.message


def test_a_damaged_export_is_d230(tmp_path: Path):
    root = write(tmp_path / "ls", {"a.png": [region("polygonlabels", {"points": box(0, 0, 9, 9)}, "car")]})
    export = root / "project-7.json"
    export.write_text(export.read_text()[:-20])
    codes = {problem.code: problem.message for problem in open_dataset(Data(), root).problems}
    assert "project-7.json: " in codes["D230"]


def minimal(root: Path) -> Path:
    """Turn the JSON export of a folder into JSON-MIN, which has one entry per annotation and no ids of regions."""
    export = root / "project-7.json"
    entries = []
    for task in json.loads(export.read_text("utf-8")):
        for annotation in task["annotations"]:
            regions = [
                one["value"] | {name: one[name] for name in ("original_width", "original_height") if name in one}
                for one in annotation["result"]
            ]
            person = {"annotator": 1, "annotation_id": annotation["id"], "created_at": "2026-01-01", "lead_time": 3.2}
            entries.append({"id": task["id"], "image": task["data"]["image"], "tag": regions, **person})
    export.write_text(json.dumps(entries), "utf-8")
    return root


boxes = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 10), st.integers(1, 10)).filter(
    lambda box: box[0] < box[2] and box[1] < box[3]
)


@st.composite
def regions(draw: st.DrawFn) -> dict[str, object]:
    left, top, right, bottom = (10 * value for value in draw(boxes))
    label = draw(st.sampled_from(["car", "road", "tree"]))
    kind = draw(st.sampled_from(["polygon", "rectangle", "ellipse", "brush"]))
    if kind == "polygon":
        return region("polygonlabels", {"points": box(left, top, right, bottom), "closed": True}, label)
    if kind == "rectangle":
        value = {
            "x": left,
            "y": top,
            "width": right - left,
            "height": bottom - top,
            "rotation": draw(st.integers(0, 90)),
        }
        return region("rectanglelabels", value, label)
    if kind == "ellipse":
        return region("ellipselabels", {"x": left, "y": top, "radiusX": right, "radiusY": bottom, "rotation": 0}, label)
    mask = np.zeros(SIZE, bool)
    mask[top // 10 : bottom // 10, left // 5 : right // 5] = True
    return region("brushlabels", {"format": "rle", "rle": encode_brush(mask)}, label)


@settings(deadline=None, max_examples=15)
@given(st.lists(regions(), min_size=1, max_size=5))
def test_json_min_gives_the_same_labels_as_json(
    tmp_path_factory: pytest.TempPathFactory, found: list[dict[str, object]]
):
    root = write(tmp_path_factory.mktemp("ls"), {"a.png": found, "b.png": []})
    expected = labels(root)
    dataset = open_dataset(Data(), root)
    again = open_dataset(Data(), minimal(root))
    assert (again.classes, again.problems) == (dataset.classes, dataset.problems)
    assert np.array_equal(labels(root), expected)


def test_of_several_entries_of_one_task_in_json_min_the_latest_counts_and_that_is_said(tmp_path: Path):
    root = write(tmp_path / "ls", {"a.png": [region("polygonlabels", {"points": box(0, 0, 100, 100)}, "road")]})
    export = root / "project-7.json"
    (task,) = json.loads(export.read_text("utf-8"))
    task["annotations"].insert(
        0, {"id": 9, "result": [region("polygonlabels", {"points": box(0, 0, 100, 100)}, "car")]}
    )
    export.write_text(json.dumps([task]), "utf-8")
    dataset = open_dataset(Data(), minimal(root))
    assert dataset.classes == ("background", "car")
    (problem,) = dataset.problems
    assert (problem.code, "task 1: 1 annotations with a lower id" in problem.message) == ("W223", True)


def test_a_label_of_the_tag_labels_belongs_to_the_shape_of_the_same_place_in_json_min(tmp_path: Path):
    value = {"points": box(0, 0, 50, 100)}
    root = write(tmp_path / "ls", {"a.png": [region("polygon", value, None), region("labels", value, "road")]})
    assert labels(minimal(root))[0].tolist() == [1] * 10 + [0] * 10


def test_exports_from_before_1_0_are_read(tmp_path: Path):
    root = write(tmp_path / "ls", {"a.png": [region("polygonlabels", {"points": box(0, 0, 50, 100)}, "road")]})
    export = root / "project-7.json"
    export.write_text(export.read_text("utf-8").replace('"annotations"', '"completions"'), "utf-8")
    assert labels(root)[0].tolist() == [1] * 10 + [0] * 10


def test_predictions_without_an_annotation_are_said(tmp_path: Path):
    root = write(tmp_path / "ls", {"a.png": [], "b.png": []})
    export = root / "project-7.json"
    tasks = json.loads(export.read_text("utf-8"))
    tasks[0] |= {"annotations": [], "predictions": [{"result": []}]}
    export.write_text(json.dumps(tasks), "utf-8")
    said = {problem.code: problem.message for problem in open_dataset(Data(), root).problems}
    assert "task 1: it has predictions, but no annotation" in said["W223"]


@pytest.mark.parametrize("min_too", [False, True])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (region("bitmasklabels", {"imageDataURL": "data:image/png;base64,"}, "car"), "'bitmasklabels'; expected"),
        ({"id": "r", "type": "polygonlabels", "value": {"points": [], "polygonlabels": ["a"]}}, "no original_width"),
    ],
)
def test_a_region_that_is_not_understood_never_vanishes(
    shape: dict[str, object], message: str, min_too: bool, tmp_path: Path
):
    root = write(tmp_path / "ls", {"a.png": [shape], "b.png": []})
    problems = open_dataset(Data(), minimal(root) if min_too else root).problems
    assert [message in problem.message for problem in problems if problem.code == "D230"] == [True]
