from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.recipes.class_sets.tables import IGNORE_BIT
from pixelwise.records.pictures import PICTURES, Picture
from pixelwise.training.pictures.layers import at_most, clear_classes, layer, photo, write_picture

PALETTE = ((10, 20, 30), (40, 50, 60), (200, 100, 0))


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def test_a_layer_has_the_exact_colours_and_is_clear_where_nothing_is_labelled():
    labels = np.array([[0, 1], [2, 255]], np.uint8)
    found = decoded(layer(labels, PALETTE, (), (2, 2)))
    assert found[0, 0].tolist() == [10, 20, 30, 255]
    assert found[0, 1].tolist() == [40, 50, 60, 255]
    assert found[1, 0].tolist() == [200, 100, 0, 255]
    assert found[1, 1, 3] == 0


def test_classes_may_be_clear_too():
    found = decoded(layer(np.array([[0, 1]], np.uint8), PALETTE, (0,), (1, 2)))
    assert found[0, :, 3].tolist() == [0, 255]


def test_of_several_classes_the_mean_colour_is_shown_and_none_is_clear():
    bits = np.array([[0, 0b1, 0b110, IGNORE_BIT]], np.int32)
    found = decoded(layer(bits, PALETTE, (), (1, 4)))
    assert found[0, :, 3].tolist() == [0, 255, 255, 0]
    assert found[0, 1, :3].tolist() == [10, 20, 30]
    assert found[0, 2, :3].tolist() == [120, 75, 30]


def test_a_layer_is_shrunk_without_new_colours():
    labels = np.repeat(np.array([[0] * 8, [2] * 8], np.uint8), 4, axis=0)
    found = decoded(layer(labels, PALETTE, (), (2, 2)))
    assert found[:, 0, :3].tolist() == [[10, 20, 30], [200, 100, 0]]


def test_a_photo_with_other_channels_is_shown_in_three():
    shown = decoded(photo(np.full((8, 8, 5), 100, np.uint8), (4, 4)))
    assert shown.shape == (4, 4, 4)
    assert np.abs(shown[..., :3].astype(int) - 100).max() <= 3


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [((480, 640), 320, (240, 320)), ((640, 480), 320, (320, 240)), ((30, 40), 320, (30, 40)), ((1, 4000), 40, (1, 40))],
)
def test_sizes_keep_their_shape(size: tuple[int, int], longest: int, expected: tuple[int, int]):
    assert at_most(size, longest) == expected


@pytest.mark.parametrize(
    ("classes", "clear"),
    [
        (("background", "cell"), (0,)),
        (("cell", "Background"), (1,)),
        (("0", "1"), (0,)),
        (("road", "car", "sky"), ()),
        (("void", "car", "sky"), (0,)),
        (("cell",), ()),
    ],
)
def test_the_class_that_stands_for_everything_else_is_clear(classes: tuple[str, ...], clear: tuple[int, ...]):
    assert clear_classes(classes) == clear


def test_photo_and_labels_of_a_picture_have_its_size(tmp_path: Path):
    labels = layer(np.zeros((6, 8), np.uint8), PALETTE, (), (3, 4))
    picture = write_picture(tmp_path, "batch-1", "day/a", np.zeros((6, 8, 3), np.uint8), labels, (3, 4))
    assert picture == Picture(id="day/a", height=3, width=4, photo="batch-1.webp", labels="batch-1-labels.webp")
    for name in (picture.photo, picture.labels):
        assert Image.open(tmp_path / PICTURES / name).size == (4, 3)
