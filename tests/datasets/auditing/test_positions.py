"""Positions of images and masks as tifffile writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data

MASK = np.array([[0, 1, 1, 0]] * 4, np.uint8)


def tags(x: float = 5e5, y: float = 5e6, side: float = 0.5, epsg: int = 32633) -> list:
    return [
        (33550, "d", 3, (side, side, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, x, y, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, epsg), True),
    ]


def pair(root: Path, name: str, image: list, mask: list | None) -> None:
    for kind in ("images", "masks"):
        (root / kind / "train").mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    pixels[0, 0, 0] = sum(map(ord, name)) % 256
    tifffile.imwrite(
        root / "images" / "train" / f"{name}.tif", pixels, photometric="rgb", metadata=None, extratags=image
    )
    if mask is None:
        Image.fromarray(MASK).save(root / "masks" / "train" / f"{name}.png")
    else:
        tifffile.imwrite(root / "masks" / "train" / f"{name}.tif", MASK, metadata=None, extratags=mask)


def found(root: Path) -> dict[str, Finding]:
    dataset = open_dataset(Data(classes=("a", "b")), root)
    return {one.code: one for one in audit(dataset).findings if one.code in ("W163", "W164")}


@pytest.mark.parametrize("mask", [tags(), tags(x=5e5 + 0.2), [], None])
def test_equal_and_missing_positions_are_fine(tmp_path, mask):
    pair(tmp_path, "a", tags(), mask)
    pair(tmp_path, "b", [], [])

    assert found(tmp_path) == {}


def test_a_mask_that_lies_elsewhere_is_named_with_its_distance(tmp_path):
    pair(tmp_path, "a", tags(), tags())
    pair(tmp_path, "b", tags(), tags(x=5e5 + 3))

    one = found(tmp_path)["W163"]

    assert one.files == ("masks/train/b.tif",)
    assert "6.0 pixels away" in one.message  # 3 metres of half a metre each


def test_a_mask_of_another_resolution_lies_elsewhere(tmp_path):
    pair(tmp_path, "a", tags(), tags(side=1.0))

    assert "4.0 pixels away" in found(tmp_path)["W163"].message  # the far corner: 4 m instead of 2 m


def test_a_mask_of_another_coordinate_system_lies_elsewhere(tmp_path):
    pair(tmp_path, "a", tags(), tags(epsg=32632))

    assert "EPSG:32632, while the image has EPSG:32633" in found(tmp_path)["W163"].message


def test_pixels_of_different_sizes_are_named(tmp_path):
    pair(tmp_path, "a", tags(side=0.5), None)
    pair(tmp_path, "b", tags(side=0.6), None)
    assert found(tmp_path) == {}

    pair(tmp_path, "c", tags(side=1.0), None)

    one = found(tmp_path)["W164"]
    assert one.files == ("images/train/a.tif", "images/train/c.tif")
    assert "0.5 to 1" in one.message
