import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (4, 6)


def brush(root: Path, name: str, columns: slice, size: tuple[int, int] = SIZE) -> None:
    mask = np.zeros(size, np.uint8)
    mask[:, columns] = 255
    root.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(root / f"{name}.png")


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), len(path.name), np.uint8)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "ls"
    brush(folder, "task-1-annotation-4-by-2-tag-Road-0", slice(0, 6))
    brush(folder, "task-1-annotation-4-by-2-tag-Parked car-0", slice(1, 3))
    brush(folder, "task-2-annotation-5-by-2-tag-Road-0", slice(0, 3))
    for name in ("street one.png", "two.png"):
        picture(folder / "images" / name)
    tasks = [
        {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-street%20one.png"}, "annotations": []},
        {"id": 2, "data": {"image": "/data/local-files/?d=photos/two.png"}},
    ]
    (folder / "project-1.json").write_text(json.dumps(tasks))
    return folder


def labels_of(root: Path, name: str) -> np.ndarray:
    dataset = open_dataset(Data(), root)
    samples = [s for found in dataset.splits.values() for s in found if s.image_path.name == name]
    return read_pair(samples[0], dataset)[1]


def test_the_masks_of_a_task_are_merged_the_smaller_on_top(root: Path):
    dataset = open_dataset(Data(), root)
    assert (dataset.name, dataset.classes) == ("label-studio", ("background", "Parked car", "Road"))
    assert dataset.problems == ()
    assert labels_of(root, "street one.png")[0].tolist() == [2, 1, 1, 2, 2, 2]
    assert labels_of(root, "two.png")[0].tolist() == [2, 2, 2, 0, 0, 0]


def test_without_the_export_images_are_found_by_the_number_of_their_task(root: Path):
    (root / "project-1.json").unlink()
    (root / "images" / "street one.png").rename(root / "images" / "task-1.png")
    (root / "images" / "two.png").rename(root / "images" / "2.png")
    assert open_dataset(Data(), root).problems == ()
    assert labels_of(root, "2.png")[0].tolist() == [2, 2, 2, 0, 0, 0]


def test_the_newest_annotation_of_a_task_counts(root: Path):
    brush(root, "task-1-annotation-12-by-7-tag-Road-0", slice(4, 6))
    assert labels_of(root, "street one.png")[0].tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("export", "message"),
    [
        (False, r"task 1 .*JSON.* 1\.jpg"),
        (True, r"task 1, 0a1b2c3d-street one\.png, "),
    ],
)
def test_a_task_without_image_is_d230(root: Path, export: bool, message: str):
    (root / "images" / "street one.png").unlink()
    if not export:
        (root / "project-1.json").unlink()
    problem = open_dataset(Data(), root).problems[0]
    assert problem.code == "D230"
    assert re.search(message, problem.message)


def test_a_mask_of_another_size_is_d230(root: Path):
    brush(root, "task-2-annotation-5-by-2-tag-Road-0", slice(0, 1), size=(2, 3))
    (problem,) = open_dataset(Data(), root).problems
    assert problem.code == "D230"
    assert re.search(r"task-2-annotation-5-by-2-tag-Road-0\.png .*3x2 \(WxH\).* 6x4", problem.message)
