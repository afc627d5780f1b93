from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from contracts.mistakes import MISTAKES, pairs, scene
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.data import Data

MakeFolder = Callable[..., Path]


def findings(root: Path, data: Data | None = None) -> dict[str, Finding]:
    return {found.code: found for found in audit(open_dataset(data or Data(), root)).findings}


def test_single_pairs_can_be_swapped_too(tmp_path: Path):
    pairs(tmp_path, lambda labels, index: labels)
    for name in ("p02", "p07"):
        photo, mask = tmp_path / "images" / f"{name}.jpg", tmp_path / "masks" / f"{name}.png"
        picture, labels = Image.open(photo).copy(), Image.open(mask).copy()
        photo.unlink()
        labels.save(photo.with_suffix(".png"))
        picture.save(mask)
    found = findings(tmp_path)
    assert "in 2 pairs" in found["D262"].message
    assert found["D262"].total == 4
    assert not {"D202", "D203", "D205", "D260"} & set(found)


def test_photos_of_few_shades_with_masks_are_not_swapped(tmp_path: Path):
    for index in range(4):
        photo, labels = scene(index)
        for kind, array in (("images", photo // 64 * 64), ("masks", labels)):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / kind / f"{index}.png")
    assert "D262" not in findings(tmp_path)


def test_photos_in_place_of_masks_are_not_called_disturbed(make_folder: MakeFolder):
    rng = np.random.default_rng(0)
    found = findings(make_folder({f"train/{i}": rng.integers(0, 256, (40, 40, 3), np.uint8) for i in range(3)}))
    assert "D205" in found
    assert "D260" not in found


def test_three_ids_with_a_border_class_are_a_warning(tmp_path: Path):
    def trimap(labels: np.ndarray, index: int) -> np.ndarray:
        object = (labels == 1).astype(np.uint8) * 2
        border = np.zeros_like(object)
        border[:, 1:] |= object[:, 1:] != object[:, :-1]
        border[1:] |= object[1:] != object[:-1]
        return np.where(border > 0, 1, object).astype(np.uint8)

    pairs(tmp_path, trimap)
    found = findings(tmp_path)
    assert found["W264"].severity == "warning"
    assert "id 1 lies along the borders" in found["W264"].message
    assert "1 = 255" in found["W264"].fix
    assert "D260" not in found


def test_smoothed_black_and_white_masks_of_named_classes_get_a_threshold(tmp_path: Path):
    mistake = next(one for one in MISTAKES if one.name == "grey-edges")
    mistake.write(tmp_path)
    found = findings(tmp_path, Data(classes=("background", "road")))
    assert "data.mask_threshold=128" in found["D260"].fix
    assert "D202" not in found


def test_lossy_masks_whose_values_cannot_be_told_stay_an_error(tmp_path: Path):
    rng = np.random.default_rng(0)
    pairs(tmp_path, lambda labels, index: rng.integers(0, 256, labels.shape, np.uint8), ending="jpg", number=4)
    found = findings(tmp_path)
    assert "data." not in found["D203"].fix


@pytest.mark.parametrize(("train", "val", "code"), [(0, 1, True), (1, 0, False), (0, 0, True)])
def test_a_training_split_of_one_class_is_d263(make_folder: MakeFolder, train: int, val: int, code: bool):
    mask = np.array([[0, 0], [0, 1]], np.uint8)
    found = findings(make_folder({"train/a": mask * np.uint8(train), "val/b": mask * np.uint8(val)}))
    assert ("D263" in found) == code


def test_masks_that_are_ignored_everywhere_are_d263(make_folder: MakeFolder):
    root = make_folder({"train/a": np.zeros((4, 4), np.uint8)})
    found = findings(root, Data(classes=("a", "b"), label_map={"0": 255}))
    assert "all pixels are ignored" in found["D263"].message


def test_broken_pairs_may_hold_the_missing_classes(make_folder: MakeFolder):
    root = make_folder({"train/a": np.zeros((4, 4), np.uint8), "train/b": np.ones((4, 4), np.uint8)})
    (root / "images" / "train" / "b.png").write_bytes(b"")
    assert set(findings(root, Data(classes=("a", "b")))) >= {"D102"}
    assert "D263" not in findings(root, Data(classes=("a", "b")))
