from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.published.kitti import kitti_layout, kitti_road_layout
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.recipes.class_sets.tables import CITYSCAPES
from pixelwise.recipes.schema.recipe import Data

pytestmark = pytest.mark.usefixtures("own_cache")


def save(path: Path, pixels: list[list[object]] | int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(list(str(path).encode()))
    array = dice.integers(0, 256, (1, 4, 3), np.uint8) if isinstance(pixels, int) else np.array(pixels, np.uint8)
    Image.fromarray(array).save(path)


def labels(root: Path) -> list[list[int]]:
    dataset = open_dataset(Data(), root)
    return [read_pair(sample, dataset)[1][0].tolist() for found in dataset.splits.values() for sample in found]


def test_semantic_masks_hold_cityscapes_ids(tmp_path: Path):
    for number in range(3):
        save(tmp_path / "training/image_2" / f"{number:06d}_10.png", 0)
        save(tmp_path / "training/semantic" / f"{number:06d}_10.png", [[7, 26, 0, 255]])
        save(tmp_path / "training/semantic_rgb" / f"{number:06d}_10.png", 0)
        save(tmp_path / "training/instance" / f"{number:06d}_10.png", 0)
        save(tmp_path / "testing/image_2" / f"{number:06d}_10.png", 0)
    dataset = open_dataset(Data(), tmp_path)
    assert (dataset.name, dataset.classes) == ("kitti", CITYSCAPES.names)
    assert labels(tmp_path) == [[0, 13, 255, 255]] * 3  # road, car, unlabelled, ignored
    assert {split: bool(found) for split, found in dataset.splits.items()} == {"train": True, "val": True}
    assert [problem.code for problem in dataset.problems] == ["W220"]  # the test images have no masks
    assert audit(dataset).errors == ()


def test_road_masks_hold_colours_and_lanes_are_said(tmp_path: Path):
    for kind in ("um", "umm", "uu"):
        save(tmp_path / "training/image_2" / f"{kind}_000000.png", 0)
        colors = [(255, 0, 255), (255, 0, 0), (0, 0, 0), (255, 0, 255)]
        save(tmp_path / "training/gt_image_2" / f"{kind}_road_000000.png", [colors])
    save(tmp_path / "training/gt_image_2" / "um_lane_000000.png", 0)
    dataset = open_dataset(Data(), tmp_path)
    assert (dataset.name, dataset.classes) == ("kitti-road", ("background", "road"))
    assert labels(tmp_path) == [[1, 0, 255, 1]] * 3
    assert sorted(sample.id for found in dataset.splits.values() for sample in found) == [
        "um_000000", "umm_000000", "uu_000000",
    ]  # fmt: skip
    (problem,) = dataset.problems
    assert (problem.code, "um_lane_000000.png" in problem.message) == ("W223", True)


def test_images_without_masks_and_masks_without_images_are_said(tmp_path: Path):
    for name in ("000000_10", "000001_10"):
        save(tmp_path / "training/image_2" / f"{name}.png", 0)
        save(tmp_path / "training/semantic" / f"{name}.png", [[7, 7, 7, 7]])
    save(tmp_path / "training/image_2" / "000009_10.png", 0)
    save(tmp_path / "training/semantic" / "000042_10.png", [[7, 7, 7, 7]])
    messages = " ".join(problem.message for problem in open_dataset(Data(), tmp_path).problems)
    assert "000009_10.png" in messages
    assert "000042_10.png" in messages


def test_other_folders_are_not_kittis(tmp_path: Path):
    (tmp_path / "training" / "image_2").mkdir(parents=True)
    assert kitti_layout(tmp_path) is None
    assert kitti_road_layout(tmp_path) is None
