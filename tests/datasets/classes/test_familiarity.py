from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.format import format_of
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.schema.data import Data
from pixelwise.testing.miniatures import miniature_of, miniature_scenes

SIZE = (48, 64)


def write(root: Path, change: Callable[[np.ndarray], np.ndarray], number: int = 10) -> Path:
    """Scenes under names of CamVid, whose masks are those of CamVid's classes, changed."""
    for index in range(number):
        photo, raw = draw_scene(0, index, SIZE)
        for kind, array in (("images", photo), ("masks", change(raw))):
            path = root / kind / "train" / f"0001TP_{6690 + 30 * index:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    return root


def name_and_reason(root: Path) -> tuple[str, str]:
    dataset = open_dataset(Data(), root)
    reason = [found.message for found in dataset.problems if found.code == "W262"]
    return dataset.name, reason[0] if reason else ""


def test_masks_of_the_data_set_are_recognised(tmp_path: Path):
    assert name_and_reason(write(tmp_path, lambda raw: raw)) == ("camvid", "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: np.where(raw == 11, 255, raw + 11).astype(np.uint8), "other ids"),
        (lambda raw: np.isin(raw, [3, 4]).astype(np.uint8), "2 of 11 classes"),
        (lambda raw: np.array([*range(10, -1, -1), 11], np.uint8)[raw], "of the pixels would be"),
        (lambda raw: np.stack([raw * 9, raw * 5, raw], -1).astype(np.uint8), "other colours"),
    ],
)
def test_other_masks_under_the_same_names_are_custom_data(
    tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], reason: str
):
    name, message = name_and_reason(write(tmp_path, change))
    assert name == "folder"
    assert reason in message


def test_the_named_data_set_is_taken_at_its_word(tmp_path: Path):
    root = write(tmp_path, lambda raw: np.isin(raw, [3, 4]).astype(np.uint8))
    dataset = open_dataset(Data(dataset="camvid"), root)
    assert (dataset.name, dataset.problems) == ("camvid", ())


def test_few_masks_tell_nothing_about_shares(tmp_path: Path):
    assert name_and_reason(write(tmp_path, lambda raw: np.isin(raw, [3, 4]).astype(np.uint8), number=3))[0] == "camvid"


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "voc-aug", "ade20k", "cocostuff171"])
def test_miniatures_of_every_data_set_are_recognised(tmp_path: Path, name: str):
    format = format_of(name)
    (tmp_path / "data").mkdir()
    miniature_of(format).write(tmp_path / "data", miniature_scenes(format, (9, 3), (96, 128)))
    assert name_and_reason(tmp_path / "data") == (name, "")


def test_the_recorded_shares_are_shares():
    assert sum(CAMVID.shares) == pytest.approx(1, abs=0.002)
    assert len(CAMVID.shares) == len(CAMVID.names)
