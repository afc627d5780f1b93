import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (6, 8)


def rectangle(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def content(
    *objects: tuple[int, Any], categories: dict[int, str] | None = None, image: str = "a.jpg"
) -> dict[str, Any]:
    names = categories or {3: "leaf", 1: "stem"}
    return {
        "images": [{"id": 7, "file_name": image, "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": category, "segmentation": outline, "iscrowd": 0}
            for i, (category, outline) in enumerate(objects, 1)
        ],
        "categories": [{"id": id, "name": name, "supercategory": "plant"} for id, name in names.items()],
    }


def write(file: Path, annotations: dict[str, Any], images: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    images.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(annotations))
    for image in annotations["images"]:
        Image.fromarray(np.full((*SIZE, 3), 50, np.uint8)).save(images / image["file_name"])


def roboflow(root: Path, *objects: tuple[int, Any], **options: Any) -> Path:
    for split in ("train", "valid"):
        write(root / split / "_annotations.coco.json", content(*objects, **options), root / split)
    return root


def labels_of(root: Path) -> np.ndarray:
    dataset = open_dataset(Data(), root)
    assert dataset.problems == ()
    return read_pair(dataset.samples("train")[0], dataset)[1]


def test_roboflows_folders_are_recognised_and_categories_come_by_id(tmp_path: Path):
    dataset = open_dataset(Data(), roboflow(tmp_path / "d", (3, rectangle(0, 0, 4, 3)), (1, rectangle(4, 0, 8, 6))))
    assert (dataset.name, dataset.classes) == ("coco", ("background", "stem", "leaf"))
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 1, "val": 1}
    labels = read_pair(dataset.samples("val")[0], dataset)[1]
    assert labels[0].tolist() == [2, 2, 2, 2, 1, 1, 1, 1]
    assert labels[5].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_smaller_object_lies_on_top_whatever_the_order(tmp_path: Path, order: tuple[int, int]):
    objects = [(3, rectangle(0, 0, 8, 6)), (1, rectangle(2, 2, 4, 4))]
    labels = labels_of(roboflow(tmp_path / "d", *(objects[i] for i in order)))
    assert labels[2].tolist() == [2, 2, 1, 1, 2, 2, 2, 2]


def test_of_equal_areas_the_larger_id_lies_on_top(tmp_path: Path):
    labels = labels_of(roboflow(tmp_path / "d", (3, rectangle(0, 0, 4, 4)), (1, rectangle(2, 0, 6, 4))))
    assert labels[0].tolist() == [2, 2, 1, 1, 1, 1, 0, 0]


def test_a_run_length_code_is_drawn(tmp_path: Path):
    runs = {"counts": [6, 12, 30], "size": list(SIZE)}
    assert labels_of(roboflow(tmp_path / "d", (3, runs)))[0].tolist() == [0, 2, 2, 0, 0, 0, 0, 0]


def test_a_group_that_nothing_belongs_to_is_no_class(tmp_path: Path):
    root = roboflow(tmp_path / "d", (1, rectangle(0, 0, 2, 2)), categories={0: "plant", 1: "stem", 2: "leaf"})
    assert open_dataset(Data(), root).classes == ("background", "stem", "leaf")


def test_one_file_per_split_beside_a_folder_of_images(tmp_path: Path):
    for split, image in (("train", "a.jpg"), ("val", "b.jpg")):
        file = tmp_path / "d" / "annotations" / f"instances_{split}.json"
        write(file, content((1, rectangle(0, 0, 2, 2)), image=image), tmp_path / "d" / "images")
    dataset = open_dataset(Data(), tmp_path / "d")
    assert {split: [s.id for s in samples] for split, samples in dataset.splits.items()} == {
        "train": ["images/a"],
        "val": ["images/b"],
    }


def test_a_single_file_is_divided(tmp_path: Path):
    annotations = content((1, rectangle(0, 0, 2, 2)))
    annotations["images"] = [{**annotations["images"][0], "id": i, "file_name": f"{i}.jpg"} for i in range(7, 17)]
    write(tmp_path / "d" / "result.json", annotations, tmp_path / "d" / "images")
    dataset = open_dataset(Data(), tmp_path / "d")
    assert sum(len(samples) for samples in dataset.splits.values()) == 10
    assert all(dataset.splits[split] for split in ("train", "val"))


def test_boxes_without_outlines_are_left_out_and_said_so(tmp_path: Path):
    (problem,) = open_dataset(Data(), roboflow(tmp_path / "d", (1, []))).problems
    assert problem.code == "W221"
    assert problem.message.startswith("2 ")
    assert "(box)" in problem.message


@pytest.mark.parametrize(
    ("outline", "category", "message"),
    [
        ([[0, 0, 1]], 1, r"annotation 1: .*polygon .*\b3\b"),
        ({"counts": [5], "size": list(SIZE)}, 1, r"annotation 1: .*\b5 pixels.* 48"),
        ({"counts": [48], "size": [8, 6]}, 1, r"annotation 1: .*\[8, 6\].*\[6, 8\]"),
        (rectangle(0, 0, 2, 2), 9, r"annotation 1: .*category 9\b"),
        ([[0, 0, 10**12, 0, 5, 5]], 1, r"annotation 1: .*polygon .*1e\+12"),
    ],
)
def test_a_wrong_annotation_names_file_image_and_annotation(tmp_path: Path, outline: Any, category: int, message: str):
    root = roboflow(tmp_path / "d", (1, rectangle(0, 0, 2, 2)))
    write(root / "train" / "_annotations.coco.json", content((category, outline)), root / "train")
    dataset = open_dataset(Data(), root)
    problem = dataset.problems[0]
    assert problem.code == "D230"
    assert "_annotations.coco.json: " in problem.message
    assert "a.jpg" in problem.message
    assert re.search(message, problem.message)


def test_a_damaged_file_is_d230(tmp_path: Path):
    root = roboflow(tmp_path / "d", (1, rectangle(0, 0, 2, 2)))
    file = root / "train" / "_annotations.coco.json"
    file.write_text(file.read_text()[:-10])
    with pytest.raises(DataError, match=r"_annotations\.coco\.json: is not valid JSON: it ends too early") as caught:
        open_dataset(Data(), root)
    assert caught.value.code == "D230"


def test_images_outside_the_files_are_left_out_with_a_warning(tmp_path: Path):
    root = roboflow(tmp_path / "d", (1, rectangle(0, 0, 2, 2)))
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / "train" / "other.jpg")
    assert [problem.code for problem in open_dataset(Data(), root).problems] == ["W222"]


def test_an_image_that_does_not_exist_is_d230(tmp_path: Path):
    root = roboflow(tmp_path / "d", (1, rectangle(0, 0, 2, 2)))
    (root / "train" / "a.jpg").unlink()
    (root / "valid" / "a.jpg").rename(root / "valid" / "b.jpg")
    dataset = open_dataset(Data(dataset="coco"), root)
    problem = next(found for found in dataset.problems if found.code == "D230")
    assert not any(dataset.splits.values())
    assert "a.jpg" in problem.message


def test_own_categories_may_be_laid_out_like_coco_2017(tmp_path: Path):
    root = tmp_path / "d"
    for split in ("train", "val"):  # images of the same name in both
        write(
            root / f"annotations/instances_{split}2017.json", content((3, rectangle(0, 0, 4, 3))), root / f"{split}2017"
        )
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.problems) == ("coco", ())
    for split in ("train", "val"):
        assert [s.image_path for s in dataset.splits[split]] == [root / f"{split}2017" / "a.jpg"]


def test_a_file_with_many_missing_images_is_named_once(tmp_path: Path):
    root = roboflow(tmp_path / "d", (3, rectangle(0, 0, 4, 3)))
    lists = content()
    lists["images"] = [{"id": i, "file_name": f"{i}.jpg", "height": 6, "width": 8} for i in range(9)]
    (root / "train" / "_annotations.coco.json").write_text(json.dumps(lists))
    (problem,) = [found for found in open_dataset(Data(), root).problems if found.code == "D230"]
    assert problem.message.startswith("9 ")
    assert (len(problem.files), problem.total) == (1, 1)


SQUARE = [0, 0, 4, 0, 4, 3, 0, 3]  # 12 pixels
RUNS = {"counts": [0, 6, 42], "size": list(SIZE)}  # the first column: 6 pixels


@pytest.mark.parametrize(
    ("outline", "pixels"),
    [
        (SQUARE, 12),
        ([SQUARE], 12),
        ([SQUARE, []], 12),
        ([[0, 0], [4, 0], [4, 3], [0, 3]], 12),
        ([[[0, 0], [4, 0], [4, 3], [0, 3]]], 12),
        ([SQUARE, [4, 0, 8, 0, 8, 3, 4, 3]], 24),
        ([[-4, -4, 4, -4, 4, 3, -4, 3]], 12),
        (RUNS, 6),
        ([RUNS], 6),
        ([RUNS, SQUARE], 15),
        ({"counts": "06Z1", "size": list(SIZE)}, 6),
    ],
)
def test_every_usual_form_of_an_outline_is_drawn(tmp_path: Path, outline: Any, pixels: int):
    assert (labels_of(roboflow(tmp_path / "d", (3, outline))) == 2).sum() == pixels


@pytest.mark.parametrize("outline", [[], [[]], None, {}, ""])
def test_an_object_without_an_outline_is_left_out_and_counted(tmp_path: Path, outline: Any):
    (problem,) = open_dataset(Data(), roboflow(tmp_path / "d", (1, outline))).problems
    assert (problem.code, "2 shapes" in problem.message) == ("W221", True)


@pytest.mark.parametrize(
    ("outline", "message"),
    [
        ([0, 0, 1, 0, 1], "5 values"),
        ([[0, 0, 1, 1]], "4 values"),
        ([[0, 0], [1, 1]], "2 values"),
        ([["0", 0, 1, 0, 1, 1]], "the text '0'; expected a number"),
        ([[True, 0, 1, 0, 1, 1]], "true; expected a number"),
        ([[None, 0, 1, 0, 1, 1]], "null; expected a number"),
        ([SQUARE, 7], "a part of the outline is 7"),
        ("polygon", "the text 'polygon'"),
        (7, "the outline is 7"),
        (True, "the outline is true"),
        ([[SQUARE]], "a coordinate of a polygon is a list"),
        ({"counts": [True, 47], "size": list(SIZE)}, "neither text nor a list of integers"),
        ({"counts": [1.5, 46.5], "size": list(SIZE)}, "neither text nor a list of integers"),
        ({"counts": None, "size": list(SIZE)}, "neither text nor a list of integers"),
        ({"counts": [48]}, "of size None"),
    ],
)
def test_an_outline_in_no_known_form_names_file_image_annotation_and_field(tmp_path: Path, outline: Any, message: str):
    root = roboflow(tmp_path / "d", (1, rectangle(0, 0, 2, 2)))
    write(root / "train" / "_annotations.coco.json", content((1, outline)), root / "train")
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "D230"
    assert "_annotations.coco.json: " in problem.message
    assert "a.jpg: annotation 1: segmentation: " in problem.message
    assert message in problem.message


def change(root: Path, **changes: Any) -> None:
    file = root / "train" / "_annotations.coco.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_annotations_of_images_that_are_not_listed_are_counted(tmp_path: Path):
    root = roboflow(tmp_path / "d", (1, SQUARE), (3, SQUARE))
    objects = json.loads((root / "train" / "_annotations.coco.json").read_text())["annotations"]
    change(root, annotations=[objects[0], {**objects[1], "image_id": 70}])
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "D230"
    assert "1 of 2 annotations belong to no image, e.g. annotation 2 with image_id 70" in problem.message


def test_ids_as_text_belong_to_the_same_image_and_are_said(tmp_path: Path):
    root = roboflow(tmp_path / "d", (1, SQUARE))
    objects = json.loads((root / "train" / "_annotations.coco.json").read_text())["annotations"]
    change(root, annotations=[{**objects[0], "image_id": "7"}])
    dataset = open_dataset(Data(), root)
    assert [(one.code, "1 of 1 annotations give image_id as text" in one.message) for one in dataset.problems] == [
        ("W224", True)
    ]
    assert (read_pair(dataset.samples("train")[0], dataset)[1] == 1).sum() == 12


def test_ids_that_two_images_or_categories_share_are_not_guessed(tmp_path: Path):
    root = roboflow(tmp_path / "d", (1, SQUARE))
    entry = json.loads((root / "train" / "_annotations.coco.json").read_text())["images"][0]
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / "train" / "b.jpg")
    change(root, images=[entry, {**entry, "file_name": "b.jpg"}])
    dataset = open_dataset(Data(), root)
    assert [name for name, found in dataset.splits.items() if found] == ["val"]
    assert "its id 7 is also that of another image (a.jpg, b.jpg)" in dataset.problems[0].message
    change(root, images=[entry], categories=[{"id": 1, "name": "stem"}, {"id": 1, "name": "leaf"}])
    (message,) = [one.message for one in open_dataset(Data(), root).problems if one.code == "D230"]
    assert "'stem' and 'leaf' have the same id 1" in message
