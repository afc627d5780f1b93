from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.reading.georeference import Georeference
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.prediction import annotation_files
from pixelwise.prediction.annotation_files import annotations_of, in_one_ring, objects
from pixelwise.prediction.options import PolygonFormat
from pixelwise.prediction.polygons import Polygon, polygons_of
from pixelwise.prediction.prediction import Prediction

RING = np.ones((9, 9), np.uint8)
RING[3:6, 2:5] = 0


def prediction(labels: np.ndarray, *classes: str, multilabel: bool = False) -> Prediction:
    return Prediction(
        image=np.zeros((*labels.shape[-2:], 3), np.uint8),
        labels=labels,
        scores=None,
        classes=classes,
        palette=tuple((i, i, i) for i in range(len(classes))),
        multilabel=multilabel,
    )


def scene() -> np.ndarray:
    """A road with a hole in which a car stands, under the sky; a speck that is too small."""
    labels = np.zeros((40, 60), np.uint8)
    labels[15:, :50] = 1
    labels[20:32, 10:30] = 0
    labels[24:30, 14:26] = 2
    labels[3:5, 3:5] = 2
    return labels


def test_a_hole_is_cut_out_of_the_ring():
    (polygon,) = polygons_of(RING)
    ring = in_one_ring(polygon)
    assert Polygon(ring).area == polygon.area == 81 - 9
    # Drawn eight times as large, the middles of the pixels are inside where the mask is.
    drawn = np.zeros((72, 72), np.uint8)
    cv2.fillPoly(drawn, [ring * 8], 1)
    assert np.array_equal(drawn[4::8, 4::8], RING)


@pytest.mark.heavy
@given(some.integers(0, 10_000))
def test_cuts_enclose_nothing(seed: int):
    mask = np.random.default_rng(seed).random((9, 11)) < 0.7
    for polygon in polygons_of(mask):
        assert Polygon(in_one_ring(polygon)).area == polygon.area


def test_objects_are_ordered_by_size_without_specks_and_background():
    assert [(name, Polygon(ring).area) for name, ring in objects(prediction(scene(), "sky", "road", "car"))] == [
        ("sky", 60 * 40 - 25 * 50 - 4),
        ("road", 25 * 50 - 12 * 20),
        ("sky", 12 * 20 - 6 * 12),
        ("car", 6 * 12),
    ]
    assert [name for name, _ in objects(prediction(scene(), "background", "road", "car"))] == ["road", "car"]
    # Two classes: the first one is the background, but not where classes may overlap.
    assert [name for name, _ in objects(prediction(scene() // 2, "a", "b"))] == ["b"]
    both = np.ones((2, 5, 5), np.uint8)
    assert [name for name, _ in objects(prediction(both, "a", "b", multilabel=True))] == ["a", "b"]


@pytest.mark.parametrize("kind", ["labelme", "coco"])
def test_what_is_written_is_read_as_the_same_labels(kind: PolygonFormat, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(annotation_files, "TOLERANCE", 0.0)
    photo = tmp_path / "photos" / "a b.png"
    photo.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(photo)
    labels = scene()
    labels[3:5, 3:5] = 0
    found = annotations_of(kind, tmp_path, ("sky", "road", "car"))
    found.add(photo, Path("a b"), prediction(labels, "sky", "road", "car"))
    found.finish()
    # Whoever trains on them puts them beside the images.
    for path in (tmp_path / "polygons").iterdir():
        path.rename(photo.parent / path.name)
    (tmp_path / "polygons").rmdir()
    _, dataset = open_folder(photo.parent)
    (sample,) = [one for samples in dataset.splits.values() for one in samples]
    read = read_labels(sample, dataset)
    names = np.array([*dataset.classes, *[""] * (256 - len(dataset.classes))])
    assert np.array_equal(names[read], np.array(["sky", "road", "car"])[labels])


def test_the_image_is_found_from_the_file(tmp_path: Path):
    found = annotations_of("labelme", tmp_path / "out", ("sky", "road", "car"))
    found.add(tmp_path / "photos" / "a.jpg", Path("day/a"), prediction(scene(), "sky", "road", "car"))
    content = json.loads((tmp_path / "out" / "polygons" / "day" / "a.json").read_text())
    assert content["imagePath"] == "../../../photos/a.jpg"
    assert (content["imageHeight"], content["imageWidth"]) == (40, 60)


UTM = Georeference(
    (
        (33550, 12, 3, (0.5, 0.25, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 500_000.0, 5_000_000.0, 0.0), True),
        (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
    )
)


def geojson(tmp_path: Path, labels: np.ndarray, place: Georeference | None, **options) -> dict:
    found = annotations_of("geojson", tmp_path, ("sky", "road", "car"))
    found.add(tmp_path / "a.tif", Path("day/a"), prediction(labels, "sky", "road", "car", **options), place)
    found.finish()
    return json.loads((tmp_path / "polygons" / "day" / "a.geojson").read_text("utf-8"))


def shoelace(ring: list[list[float]]) -> float:
    return sum(x * v - u * y for (x, y), (u, v) in itertools.pairwise(ring)) / 2


def test_geojson_has_the_exact_outlines_in_coordinates_of_the_map(tmp_path: Path):
    labels = np.zeros((20, 30), np.uint8)
    labels[2:12, 4:24] = 1
    labels[5:8, 10:13] = 2

    found = geojson(tmp_path, labels, UTM)

    _, road, car = found["features"]
    assert found["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    assert road["properties"] == {"class": "road", "class_id": 1, "pixels": 191}
    outline, hole = road["geometry"]["coordinates"]
    # Columns 4 to 24 of half a metre, rows 2 to 12 of a quarter of a metre downwards.
    assert sorted(outline[:-1]) == sorted([[x, y] for x in (500_002.0, 500_012.0) for y in (4_999_999.5, 4_999_997.0)])
    assert outline[0] == outline[-1]
    # Counter-clockwise outside and clockwise inside, as the standard asks.
    assert (shoelace(outline), shoelace(hole)) == (10 * 2.5, -1.5 * 0.75)
    assert car["geometry"]["coordinates"][0][:-1] != hole[:-1]
    assert shoelace(car["geometry"]["coordinates"][0]) == 1.5 * 0.75


def test_geojson_without_a_position_is_in_pixels(tmp_path: Path):
    found = geojson(tmp_path, np.full((3, 4), 2, np.uint8), None)

    (feature,) = found["features"]
    assert sorted(feature["geometry"]["coordinates"][0][:-1]) == [[0, 0], [0, 3], [4, 0], [4, 3]]
    assert "crs" not in found


def test_geojson_of_overlapping_classes_has_all_of_them(tmp_path: Path):
    planes = np.zeros((3, 8, 8), np.uint8)
    planes[0, :4], planes[1, 2:6] = 1, 1

    found = geojson(tmp_path, planes, UTM, multilabel=True)

    assert [(one["properties"]["class"], one["properties"]["pixels"]) for one in found["features"]] == [
        ("sky", 32), ("road", 32),
    ]  # fmt: skip
