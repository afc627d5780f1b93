from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.datasets.layouts.writing import write_image


def test_masks_keep_their_values_with_and_without_a_palette(tmp_path: Path):
    ids = np.array([[0, 1], [2, 255]], np.uint8)
    write_image(tmp_path / "new" / "a.png", ids)
    write_image(tmp_path / "b.png", ids, [(1, 2, 3), (4, 5, 6)])
    for name, mode in (("new/a.png", "L"), ("b.png", "P")):
        with Image.open(tmp_path / name) as picture:
            assert picture.mode == mode
            assert np.array_equal(np.asarray(picture), ids)
    with Image.open(tmp_path / "b.png") as picture:
        assert (picture.getpalette() or [])[:6] == [1, 2, 3, 4, 5, 6]


def test_jpeg_images_stay_near_what_they_were(tmp_path: Path):
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (1, 64, 3))
    write_image(tmp_path / "a.jpg", smooth)
    with Image.open(tmp_path / "a.jpg") as picture:
        assert np.abs(np.asarray(picture).astype(int) - smooth).max() <= 4
