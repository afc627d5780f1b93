"""Reading and writing of one image, with its position on the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from evaluation.color_model import PALETTE, GreyModel, image_of
from PIL import Image

from pixelwise.prediction.outcomes import class_folders
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.segmenter import Segmenter

LABELS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((8, 8), np.uint8))
POSITION = [
    (33550, "d", 3, (0.5, 0.5, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
]


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(GreyModel(), palette=PALETTE)


def written(output: Path) -> list[str]:
    return sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())


def test_a_class_is_a_folder_of_its_own_on_every_system():
    assert class_folders(("road", "traffic light", "a/b", "Road", "con", "../x")) == [
        "road", "traffic light", "a_b", "Road-2", "con_", ".._x",
    ]  # fmt: skip


def test_the_mask_of_a_geotiff_is_a_geotiff_and_missing_pixels_are_ignored(segmenter, tmp_path):
    image = image_of(LABELS)
    image[:3, :5] = 77
    tifffile.imwrite(
        tmp_path / "a.tif", image, photometric="rgb", metadata=None, extratags=[*POSITION, (42113, "s", 0, "77", True)]
    )

    summary = predict_paths(segmenter, [tmp_path / "a.tif"], tmp_path / "out")

    assert (summary.ok, summary.warnings) == (1, ())
    assert written(tmp_path / "out") == ["classes.json", "masks/a.tif", "overlays/a.jpg"]
    with tifffile.TiffFile(tmp_path / "out" / "masks" / "a.tif") as mask:
        page = mask.pages.first
        assert [page.tags[code].value for code, *_ in POSITION] == [value for *_, value, _ in POSITION]
        assert page.tags[42113].value == "255"
        assert page.colormap is not None
        assert (page.colormap[:, :4].T // 257).tolist() == [list(color) for color in PALETTE]
        values = page.asarray()
    assert (values[:3, :5] == 255).all()
    assert np.array_equal(values[3:], LABELS[3:])


def test_world_files_are_repeated_beside_the_mask(segmenter, tmp_path):
    photos = tmp_path / "photos"
    (photos / "day").mkdir(parents=True)
    for name in ("a", "day/b"):
        Image.fromarray(image_of(LABELS)).save(photos / f"{name}.png")
    (photos / "day" / "b.pgw").write_bytes(b"0.5\n0\n0\n-0.5\n500000\n5000000\n")

    predict_paths(segmenter, [photos], tmp_path / "out", overlay=False)

    assert written(tmp_path / "out") == [
        "classes.json", "masks/a.png", "masks/day/b.pgw", "masks/day/b.png",
    ]  # fmt: skip
