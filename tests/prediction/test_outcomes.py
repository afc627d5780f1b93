"""Reading and writing of one image, with its position on the map."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from evaluation.color_model import PALETTE, GreyModel, image_of
from PIL import Image

from pixelwise.datasets.reading.overrides import overridden
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.prediction import outcomes as module
from pixelwise.prediction.inputs import Input
from pixelwise.prediction.outcomes import class_folders, read_input
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.prediction import Prediction
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
    names = (path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.startswith(".receipts/"))


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


@pytest.mark.parametrize(("exif", "lost"), [("apply", ["W160"]), ("ignore", [])])
def test_a_world_file_is_not_repeated_for_an_image_that_is_turned(segmenter, tmp_path, exif, lost):
    """Position files refer to the pixels as they are stored."""
    orientation = Image.Exif()
    orientation[0x0112] = 6
    Image.fromarray(image_of(LABELS)).save(tmp_path / "a.png", exif=orientation)
    (tmp_path / "a.pgw").write_bytes(b"0.5\n0\n0\n-0.5\n500000\n5000000\n")
    segmenter.reading = Reading(exif=exif)

    summary = predict_paths(segmenter, [tmp_path / "a.png"], tmp_path / "out", overlay=False)

    assert [one.code for one in summary.warnings] == lost
    assert ("masks/a.pgw" in written(tmp_path / "out")) == (exif == "ignore")


def bad_images(folder: Path) -> list[Path]:
    folder.mkdir()
    deep = np.arange(16 * 16 * 5, dtype=np.uint16).reshape(16, 16, 5)
    Image.fromarray(deep[..., 0].copy()).save(folder / "deep.png")
    tifffile.imwrite(folder / "deep.tif", deep[..., :3], photometric="rgb")
    tifffile.imwrite(folder / "bands.tif", deep.astype(np.uint8), photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(folder / "deep_bands.tif", deep, photometric="minisblack", planarconfig="contig")
    np.save(folder / "array.npy", deep.astype(np.uint8))
    np.save(folder / "floats.npy", deep[..., :3] / 7)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "large.png")
    return sorted(folder.iterdir())


def test_every_setting_that_the_error_of_an_image_names_makes_it_readable(tmp_path):
    start = Reading(max_pixels=1000)
    for path in bad_images(tmp_path / "bad"):
        reading, tries = start, 0
        outcome = read_input(Input(path, Path(path.stem)), reading=reading, channels=3)
        assert isinstance(outcome.value, DataError), path
        # A setting may uncover the next problem: bands are selected first, then their range.
        while isinstance(outcome.value, DataError):
            words = re.findall(r"data\.\w+=(?:\[[^\]]*\]|\w+)", outcome.value.help)
            assert words, outcome.value
            assert "mask" not in outcome.value.help
            reading, tries = overridden(reading, words, 3), tries + 1
            assert tries <= 2, outcome.value
            outcome = read_input(Input(path, Path(path.stem)), reading=reading, channels=3)
        assert isinstance(outcome.value, np.ndarray)
        assert outcome.value.shape[2] == 3


def test_a_damaged_image_has_no_mask_to_remove(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))

    outcome = read_input(Input(tmp_path / "a.png", Path("a")), reading=Reading(), channels=3)

    assert isinstance(outcome.value, DataError)
    assert (outcome.value.code, outcome.value.help) == ("D101", "copy or export the file again")


@pytest.mark.parametrize("channels", [3, 5])
def test_the_overlay_of_an_image_of_many_pixels_is_reduced(tmp_path, monkeypatch, channels):
    monkeypatch.setattr(module, "OVERLAY_PIXELS", 100)
    image = np.random.default_rng(0).integers(0, 256, (20, 30, channels)).astype(np.uint8)
    labels = np.random.default_rng(1).integers(0, 4, (20, 30)).astype(np.uint8)
    prediction = Prediction(image=image, labels=labels, scores=None, classes=("a", "b", "c", "d"), palette=PALETTE)

    found = module.reduced(prediction, 100)

    # 20 x 30 pixels are 7 x 10 of three by three; the class is that in the middle, or the last one.
    assert found.overlay().shape == (7, 10, 3)
    middle = np.minimum(np.arange(0, 30, 3) + 1, 29)
    assert np.array_equal(found.labels, labels[np.minimum(np.arange(0, 20, 3) + 1, 19)][:, middle])
    assert np.abs(found.image[0, 0, :3] - image[:3, :3, :3].reshape(-1, 3).mean(0)).max() <= 0.5
    assert module.reduced(prediction, 600) is prediction
    several = module.reduced(dataclasses.replace(prediction, labels=np.stack([labels, labels]), multilabel=True), 100)
    assert several.labels.shape == (2, 7, 10)
