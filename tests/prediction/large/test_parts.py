"""Images predicted in parts against the same images predicted whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from datasets.reading.regions.mosaics import cut
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from PIL import Image
from prediction.large.images import Multilabel, labels_of, saved

from pixelwise.datasets.labels import table_of
from pixelwise.datasets.reading.regions import images
from pixelwise.datasets.reading.regions.images import ImageRegions
from pixelwise.datasets.samples import Reading
from pixelwise.observer import PARTS, Observer
from pixelwise.prediction.large.parts import blocks_of, way_of
from pixelwise.prediction.network import prediction_mode
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.segmenter import Segmenter, through_windows
from pixelwise.recipes.protocols import PROTOCOLS, Protocol, protocol


class Watcher(Observer):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.phases: list[str] = []
        self.counts: list[tuple[str, int, int | None]] = []
        self.warned: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def phase(self, name: str, unit: str = "") -> None:
        self.phases.append(name)

    def progress(self, done: int, total: int | None) -> None:
        self.counts.append((self.phases[-1], done, total))

    def warn(self, code: str, message: str) -> None:
        self.warned.append(code)


def segmenter_of(stride: int = 1, rules: Protocol = PROTOCOLS["native"], **options) -> Segmenter:
    segmenter = Segmenter(GreyModel(stride=stride), palette=PALETTE, protocol=rules, **options)
    segmenter.large_window = (64, 48)
    return segmenter


def both(segmenter: Segmenter, path: Path, output: Path, **options) -> tuple[np.ndarray, np.ndarray]:
    """The mask predicted whole, in one piece unless the protocol has windows; and the one predicted in parts."""
    segmenter.whole_pixels = 1 << 24
    predict_paths(segmenter, [path], output / "whole", **options)
    predict_paths(segmenter, [path], output / "parts", parts_above=0, **options)
    return tuple(tifffile.imread(output / kind / "masks" / "a.tif") for kind in ("whole", "parts"))  # type: ignore[return-value]


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize(
    "rules",
    [
        PROTOCOLS["native"],
        protocol("slide-40x56"),
        through_windows(PROTOCOLS["native"], (50, 50)),
        Protocol(name="x", summary="", fit=(40, 90), resampling="antialiased"),
        Protocol(name="x", summary="", pad_to=(132, 168), argmax_at="input"),
        Protocol(name="x", summary="", input_size=(60, 70), argmax_at="input"),
    ],
    ids=["native", "slide", "window", "fit", "padded", "input"],
)
def test_masks_are_those_of_the_image_predicted_whole(tmp_path, stride, rules):
    # Some noise: the mean of cells of flat colours lies exactly between two classes too often.
    noise = np.random.default_rng(1).integers(0, 20, (132, 168, 3)).astype(np.uint8)
    path = saved(tmp_path / "a.tif", image_of(labels_of(132, 168)) + noise)
    size = rules.input_size

    whole, parts = both(segmenter_of(stride, rules, input_size=size), path, tmp_path)

    assert len(np.unique(whole)) == 4
    assert np.array_equal(parts, whole)


@pytest.mark.heavy
def test_an_image_brought_to_the_area_of_training_is_shrunk_in_parts(tmp_path):
    path = saved(tmp_path / "a.tif", image_of(labels_of(1301, 1111)))

    whole, parts = both(segmenter_of(1, input_size=(200, 180)), path, tmp_path, overlay=False)

    assert np.array_equal(parts, whole)


def test_missing_pixels_position_and_colours_are_kept(tmp_path):
    image = image_of(labels_of())
    image[20:90, 30:] = 7
    path = saved(tmp_path / "a.tif", image, (42113, "s", 0, "7", True))

    whole, parts = both(segmenter_of(), path, tmp_path)

    assert (parts[20:90, 30:] == 255).all()
    assert np.array_equal(parts, whole)
    pages = [tifffile.TiffFile(tmp_path / kind / "masks" / "a.tif").pages.first for kind in ("whole", "parts")]
    for code in (33550, 33922, 34735, 42113, 320, 262):
        assert np.array_equal(pages[1].tags[code].value, pages[0].tags[code].value)


@pytest.mark.parametrize("kind", ["ids", "original"])
def test_mask_formats(tmp_path, kind):
    path = saved(tmp_path / "a.tif", image_of(labels_of()))
    segmenter = segmenter_of()
    segmenter.label_table = table_of({3000: 0, 1: 1, 2: 2, 900: 3})

    whole, parts = both(segmenter, path, tmp_path, mask_format=kind)

    assert parts.dtype == whole.dtype
    assert np.array_equal(parts, whole)


def test_colours_of_the_training_masks(tmp_path):
    path = saved(tmp_path / "a.tif", image_of(labels_of()))
    segmenter = segmenter_of()
    segmenter.label_table = table_of({}, {"#102030": 0, "#ff0000": 1, "#00ff00": 2, "#0000ff": 3})

    whole, parts = both(segmenter, path, tmp_path, mask_format="original")

    assert parts.shape == (131, 167, 3)
    assert np.array_equal(parts, whole)


def test_every_class_of_a_multilabel_network_has_its_mask(tmp_path):
    path = saved(tmp_path / "a.tif", image_of(labels_of()))
    segmenter = Segmenter(Multilabel(), palette=PALETTE)
    segmenter.whole_pixels, segmenter.large_window = 1000, (64, 48)

    for kind, above in (("whole", None), ("parts", 0)):
        predict_paths(segmenter, [path], tmp_path / kind, parts_above=above)

    for name in CLASSES:
        whole, parts = (tifffile.imread(tmp_path / kind / "masks" / name / "a.tif") for kind in ("whole", "parts"))
        assert set(np.unique(parts).tolist()) == {0, 255}
        assert np.array_equal(parts, whole)


def test_an_overlay_is_the_reduced_one(tmp_path):
    path = saved(tmp_path / "a.tif", image_of(labels_of()))

    both(segmenter_of(), path, tmp_path, alpha=0.4)

    whole, parts = (np.asarray(Image.open(tmp_path / kind / "overlays" / "a.jpg")) for kind in ("whole", "parts"))
    assert np.array_equal(whole, parts)  # small enough not to be reduced


def test_the_way_and_its_reason_are_told_and_windows_counted(tmp_path):
    path, watcher = saved(tmp_path / "a.tif", image_of(labels_of())), Watcher()
    segmenter = segmenter_of()
    segmenter.reading = Reading(max_pixels=20_000)

    summary = predict_paths(segmenter, [path], tmp_path / "out", observer=watcher)

    (note,) = watcher.notes
    assert re.search(r"a\.tif \(167x131, 3 bands of uint8\) is predicted in parts", note)
    assert "windows of 48x64, 33x44 apart" in note
    assert "data.max_pixels" in note
    assert (summary.ok, summary.failed, summary.warnings) == (1, 0, ())
    assert watcher.phases == ["predicting", PARTS, "predicting"]
    # Rows begin at 0, 32, 64 and 96; columns at 0, 32, 64, 96 and 128.
    assert [count for count in watcher.counts if count[0] == PARTS] == [(PARTS, done, 20) for done in range(1, 21)]
    assert watcher.counts[-1] == ("predicting", 1, 1)


@pytest.mark.heavy
def test_only_the_files_of_the_prediction_are_left(tmp_path):
    path = saved(tmp_path / "a.tif", image_of(labels_of()))

    predict_paths(segmenter_of(), [path], tmp_path / "out", parts_above=0)

    names = (one.relative_to(tmp_path / "out").as_posix() for one in (tmp_path / "out").rglob("*"))
    files = sorted(name for name in names if not name.startswith(".receipts"))
    assert files == ["classes.json", "masks", "masks/a.tif", "overlays", "overlays/a.jpg"]


def test_world_files_are_repeated_beside_the_mask(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", image_of(labels_of()), photometric="rgb", tile=(32, 32), metadata=None)
    (tmp_path / "a.tfw").write_bytes(b"0.5\n0\n0\n-0.5\n500000\n5000000\n")

    predict_paths(segmenter_of(), [tmp_path / "a.tif"], tmp_path / "out", parts_above=0, overlay=False)

    assert (tmp_path / "out" / "masks" / "a.tfw").read_bytes() == (tmp_path / "a.tfw").read_bytes()


def test_damage_in_the_middle_is_a_bad_file_and_leaves_nothing(tmp_path):
    path = saved(tmp_path / "a.tif", image_of(labels_of()))
    with tifffile.TiffFile(path) as file:
        offset = file.pages.first.dataoffsets[-1]
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = bytes(20)
    path.write_bytes(bytes(content))

    summary = predict_paths(segmenter_of(), [path], tmp_path / "out", parts_above=0)

    assert (summary.ok, [one.code for one in summary.problems]) == (0, ["D101"])
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["classes.json", "problems.jsonl"]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["geojson", "labelme", "coco"])
def test_outlines_are_those_of_the_image_predicted_whole(tmp_path, kind):
    image = image_of(labels_of())
    image[20:90, 30:50] = 7
    path = saved(tmp_path / "a.tif", image, (42113, "s", 0, "7", True))

    both(segmenter_of(), path, tmp_path, polygons=kind)

    key = {"geojson": "features", "labelme": "shapes", "coco": "annotations"}[kind]
    whole, parts = (
        json.loads(next((tmp_path / way / "polygons").iterdir()).read_text("utf-8")) for way in ("whole", "parts")
    )
    found, expected = ([{**one, "id": 0} for one in content.pop(key)] for content in (parts, whole))
    assert len(found) > 20
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, expected))
    assert parts == whole


@pytest.mark.heavy
@pytest.mark.parametrize("left_out", [None, 4])
def test_a_mosaic_is_predicted_like_the_one_image_of_its_tiles(tmp_path, left_out):
    image = image_of(labels_of())
    mosaic = cut(tmp_path / "tiles", image, (50, 60), left_out=left_out, nodata="7")
    if left_out is not None:
        image[50:100, 60:120] = 7
    one = saved(tmp_path / "one.tif", image, (42113, "s", 0, "7", True))

    for above, kind in ((0, "parts"), (1 << 40, "whole")):
        summary = predict_paths(segmenter_of(), [one, mosaic], tmp_path / kind, parts_above=above)
        assert (summary.ok, summary.failed) == (2, 0)
        expected, found = (tmp_path / kind / "masks" / name for name in ("one.tif", "all.tif"))
        assert np.array_equal(tifffile.imread(found, key=0), tifffile.imread(expected, key=0))
        assert (tifffile.imread(found, key=0) == 255).any() == (left_out is not None)
        with tifffile.TiffFile(found) as made, tifffile.TiffFile(expected) as wanted:
            for tag in (33550, 33922):
                assert made.pages.first.tags[tag].value == wanted.pages.first.tags[tag].value
            assert 32633 in made.pages.first.tags[34735].value


def test_a_mosaic_is_predicted_again_when_one_of_its_tiles_changes(tmp_path):
    image = image_of(labels_of())
    mosaic = cut(tmp_path / "tiles", image, (70, 90))
    first, second = (predict_paths(segmenter_of(), [mosaic], tmp_path / "out") for _ in range(2))
    tifffile.imwrite(tmp_path / "tiles/tiles/0.tif", image[:70, :90][::-1].copy(), photometric="rgb", metadata=None)
    third = predict_paths(segmenter_of(), [mosaic], tmp_path / "out")

    assert [summary.kept for summary in (first, second, third)] == [0, 1, 0]


@pytest.mark.heavy
def test_every_class_of_a_multilabel_network_has_its_outlines(tmp_path):
    path = saved(tmp_path / "a.tif", image_of(labels_of()))
    segmenter = Segmenter(Multilabel(), palette=PALETTE)
    segmenter.whole_pixels, segmenter.large_window = 1000, (64, 48)

    predict_paths(segmenter, [path], tmp_path / "out", parts_above=0, polygons="geojson")

    content = json.loads((tmp_path / "out" / "polygons" / "a.geojson").read_text("utf-8"))
    for name in CLASSES:
        pixels = sum(one["properties"]["pixels"] for one in content["features"] if one["properties"]["class"] == name)
        assert pixels == (tifffile.imread(tmp_path / "out" / "masks" / name / "a.tif", key=0) == 255).sum()


def test_a_prediction_that_fails_leaves_no_outlines(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_PROBE", 16)  # the damage is found late
    path = saved(tmp_path / "a.tif", image_of(labels_of()))
    with tifffile.TiffFile(path) as file:
        offset = file.pages.first.dataoffsets[-1]
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = bytes(20)
    path.write_bytes(bytes(content))

    summary = predict_paths(segmenter_of(), [path], tmp_path / "out", parts_above=0, polygons="geojson")

    assert summary.failed == 1
    assert list((tmp_path / "out" / "polygons").iterdir()) == []


def test_small_and_large_images_are_predicted_in_one_call(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    saved(folder / "a.tif", image_of(labels_of()))
    Image.fromarray(image_of(labels_of(20, 30))).save(folder / "b.png")
    saved(folder / "c.tif", image_of(labels_of(20, 30)))

    summary = predict_paths(segmenter_of(), [folder], tmp_path / "out", parts_above=1000)

    assert summary.ok == 3
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "masks" / "a.tif"), labels_of())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "masks" / "b.png")), labels_of(20, 30))
    with tifffile.TiffFile(tmp_path / "out" / "masks" / "c.tif") as file:
        assert not file.pages.first.is_tiled


def test_blocks_cover_the_image(tmp_path):
    path, segmenter = saved(tmp_path / "a.tif", image_of(labels_of())), segmenter_of()
    covered = np.zeros((131, 167), int)

    with ImageRegions(path, Reading()) as image, prediction_mode(segmenter.model):
        for block in blocks_of(segmenter, image, tmp_path, Observer()):
            covered[block.where.top : block.where.bottom, block.where.left : block.where.right] += 1

    assert (covered == 1).all()


def test_an_image_that_training_saw_smaller_is_seen_at_that_scale(tmp_path):
    # Squares of 8 pixels, seen at half their size.
    labels = np.kron(np.random.default_rng(0).integers(0, 4, (20, 25)), np.ones((8, 8))).astype(np.uint8)
    path, watcher = saved(tmp_path / "a.tif", image_of(labels)), Watcher()
    segmenter = segmenter_of(1, Protocol(name="x", summary="", fit=(20, 30), resampling="area"))
    segmenter.training_scale = 0.5

    predict_paths(segmenter, [path], tmp_path / "out", parts_above=0, observer=watcher)

    assert np.array_equal(tifffile.imread(tmp_path / "out" / "masks" / "a.tif", key=0), labels)
    assert "at 0.5 of its size, the scale of the images that it was trained on" in watcher.notes[0]
    assert {size[2:] for size in segmenter.model.sizes} == {(64, 48), (64, 36), (48, 48), (48, 36)}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("scale", "training", "fit", "seen"),
    [
        (None, None, None, (131, 167)),
        (None, 0.5, None, (131, 167)),
        (None, 0.5, (20, 30), (66, 84)),
        (None, 2.0, (20, 30), (131, 167)),
        (1.0, 0.5, (20, 30), (131, 167)),
        (0.25, None, None, (33, 42)),
        (None, None, (20, 30), (20, 25)),
    ],
)
def test_the_size_at_which_an_image_is_seen(scale, training, fit, seen):
    segmenter = segmenter_of(1, Protocol(name="x", summary="", fit=fit))
    segmenter.scale, segmenter.training_scale = scale, training

    way = way_of(segmenter, (131, 167))

    assert way.seen == seen
    assert way.whole == (seen == (20, 25))
    assert (way.protocol.window is None) == way.whole
