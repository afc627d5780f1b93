from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from pixelwise.datasets.opening import open_folder
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
