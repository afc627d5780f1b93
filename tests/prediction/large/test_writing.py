from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from pixelwise.datasets.reading.georeference import Georeference
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.prediction.large.blocks import Block
from pixelwise.prediction.large.writing import Canvas, Plane
from pixelwise.prediction.mask_formats import MaskCode

COLORS = np.arange(768).reshape(256, 3).astype(np.uint8)
IDS = MaskCode(lambda labels: labels, COLORS)


def blocks_of(labels: np.ndarray, pixels: np.ndarray | None = None, rows: int = 30, columns: int = 40) -> list[Block]:
    height, width = labels.shape
    image = np.zeros((height, width, 3), np.uint8) if pixels is None else pixels
    found = []
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            part = labels[top : top + rows, left : left + columns]
            where = Rectangle(top, left, *part.shape)
            found.append(Block(where, part, image[top : top + rows, left : left + columns]))
    return found


def saved(labels: np.ndarray, planes: list[Plane], scratch: Path, place: Georeference | None = None) -> None:
    with Canvas(labels.shape, planes, scratch, None) as canvas:
        for block in blocks_of(labels):
            canvas.add(block)
        canvas.save(place)


def test_blocks_become_masks_in_their_places(tmp_path):
    labels = np.random.default_rng(0).integers(0, 9, (100, 130)).astype(np.uint8)
    table = np.arange(256).astype(np.uint16) * 100
    planes = [Plane(tmp_path / "a.b", IDS, nodata=255), Plane(tmp_path / "deep", MaskCode(lambda ids: table[ids]))]

    saved(labels, planes, tmp_path)

    assert np.array_equal(tifffile.imread(tmp_path / "a.b.tif"), labels)
    assert np.array_equal(tifffile.imread(tmp_path / "deep.tif"), labels.astype(np.uint16) * 100)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.b.tif").convert("RGB"))[0, 0], COLORS[labels[0, 0]])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.b.tif", "deep.tif"]


def test_bit_fields_become_a_black_and_white_mask_of_each_class(tmp_path):
    bits = np.random.default_rng(0).integers(0, 8, (60, 50)).astype(np.int32)

    saved(bits, [Plane(tmp_path / str(one), class_id=one) for one in range(3)], tmp_path)

    for one in range(3):
        assert np.array_equal(tifffile.imread(tmp_path / f"{one}.tif"), (bits >> one & 1) * 255)


def test_world_files_are_written_beside_the_mask(tmp_path):
    saved(np.zeros((5, 5), np.uint8), [Plane(tmp_path / "a", IDS)], tmp_path, Georeference(world=b"1", projection=b"2"))

    assert (tmp_path / "a.tfw").read_bytes() == b"1"
    assert (tmp_path / "a.prj").read_bytes() == b"2"


def test_an_unfinished_canvas_leaves_nothing(tmp_path):
    labels = np.zeros((60, 50), np.uint8)

    with Canvas(labels.shape, [Plane(tmp_path / "a", IDS)], tmp_path, None) as canvas:
        canvas.add(blocks_of(labels)[0])

    assert list(tmp_path.iterdir()) == []
