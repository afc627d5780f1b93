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
