from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.format import FORMATS, format_of
from pixelwise.errors import RecipeError
from pixelwise.testing.miniatures import miniature_scenes, write_miniature


@pytest.mark.parametrize("name", FORMATS.own())
def test_scenes_are_those_of_the_format(name: str):
    format = format_of(name)
    scenes = miniature_scenes(format, (3, 2))
    assert format.miniature is not None
    assert {split: len(found) for split, found in scenes.splits.items()} == {
        split: 3 if split == "train" else 2 for split in format.miniature.splits
    }
    seen: set[int] = set()
    for scene in (scene for found in scenes.splits.values() for scene in found):
        assert scene.image.shape == (*format.miniature.size, 3)
        assert scene.labels.shape == format.miniature.size
        seen |= {*np.unique(scene.labels).tolist()} - {255}
        assert bool(scene.boxes) == format.miniature.boxes
    assert min(3, len(scenes.classes) - 1) < len(seen) <= len(scenes.classes)
    assert max(seen) < len(scenes.classes)


def test_boxes_say_what_the_labels_say():
    (scene,) = miniature_scenes(format_of("labelme"), (1, 0)).splits["train"]
    drawn = np.zeros_like(scene.labels)
    for class_id, left, top, right, bottom in scene.boxes:
        assert not drawn[top:bottom, left:right].any()
        drawn[top:bottom, left:right] = class_id
    assert np.array_equal(drawn, scene.labels)


def test_the_same_scenes_are_drawn_every_time():
    first, second = (miniature_scenes(format_of("folder"), (1, 1)).splits["val"][0] for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.labels, second.labels)


def test_what_has_no_miniature_is_an_error(tmp_path: Path):
    with pytest.raises(RecipeError, match="moon") as caught:
        write_miniature("moon", tmp_path / "data")
    assert caught.value.code == "R203"


@pytest.mark.heavy
def test_cityscapes_masks_hold_values_that_its_own_scripts_know(tmp_path: Path) -> None:
    root = write_miniature("cityscapes", tmp_path / "data", (0, 1))
    (mask,) = root.rglob("*_labelIds.png")
    # 34 labels; the id of licence plates, -1, is never drawn.
    assert np.asarray(Image.open(mask)).max() <= 33
