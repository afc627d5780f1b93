"""GeoPackages, read by SQLite and a reader of WKB written for this test."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.reading.georeference import Georeference, Placement
from pixelwise.errors import DataError
from pixelwise.prediction.annotation_files import annotations_of
from pixelwise.prediction.maps import geopackages
from pixelwise.prediction.maps.geopackages import writing_geopackage
from pixelwise.prediction.polygons import Polygon
from pixelwise.prediction.prediction import Prediction

CLASSES = ("sky", "road", "car")
UTM = Georeference(
    (
        (33550, 12, 3, (0.5, 0.5, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True),
        (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
    )
)
SQUARE = Polygon(np.array([[1, 0], [3, 0], [3, 2], [1, 2]], np.int32))
RING = Polygon(
    np.array([[0, 0], [3, 0], [3, 3], [0, 3]], np.int32), (np.array([[1, 1], [1, 2], [2, 2], [2, 1]], np.int32),)
)


def rings_of(blob: bytes) -> tuple[int, tuple[float, ...], list[list[list[float]]]]:
    """System, envelope (min x, max x, min y, max y) and closed rings of a polygon without z."""
    assert blob[:4] == b"GP\0\3"
    system, *envelope = struct.unpack_from("<i4d", blob, 4)
    order, kind, count = struct.unpack_from("<BII", blob, 40)
    assert (order, kind) == (1, 3)
    place, rings = 49, []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", blob, place)
        numbers = struct.unpack_from(f"<{2 * length}d", blob, place + 4)
        rings.append([[x, y] for x, y in zip(numbers[::2], numbers[1::2], strict=True)])
        place += 4 + 16 * length
    assert place == len(blob)
    return system, tuple(envelope), rings


def rows(path: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def prediction_of(labels: np.ndarray) -> Prediction:
    size = labels.shape[-2:]
    return Prediction(
        image=np.zeros((*size, 3), np.uint8), labels=labels, scores=None, classes=CLASSES,
        palette=((0, 0, 0), (9, 9, 9), (5, 5, 5)), multilabel=False, source="",
    )  # fmt: skip


def test_an_object_is_a_row_with_its_class_and_its_rings(tmp_path):
    with writing_geopackage(tmp_path / "a.gpkg", "day/a", Placement((0.5, 0.0, 10.0, 0.0, -0.5, 20.0), 32633)) as file:
        file.add(2, "car", RING)

    ((blob, *rest),) = rows(tmp_path / "a.gpkg", "SELECT geom, class, class_id, pixels FROM objects")
    assert rest == ["car", 2, 8.0]
    assert rings_of(blob) == (
        32633,
        (10.0, 11.5, 18.5, 20.0),
        [
            [[10, 20], [10, 18.5], [11.5, 18.5], [11.5, 20], [10, 20]],
            [[10.5, 19.5], [11, 19.5], [11, 19], [10.5, 19], [10.5, 19.5]],
        ],
    )
    assert rows(tmp_path / "a.gpkg", "SELECT identifier, min_x, min_y, max_x, max_y, srs_id FROM gpkg_contents") == [
        ("day/a", 10.0, 18.5, 11.5, 20.0, 32633)
    ]
    systems = rows(tmp_path / "a.gpkg", "SELECT srs_id FROM gpkg_spatial_ref_sys ORDER BY 1")
    assert systems == [(-1,), (0,), (4326,), (32633,)]
    columns = rows(tmp_path / "a.gpkg", "SELECT * FROM gpkg_geometry_columns")
    assert columns == [("objects", "geom", "POLYGON", 32633, 0, 0)]
    assert rows(tmp_path / "a.gpkg", "PRAGMA application_id") == [(0x47504B47,)]
    assert rows(tmp_path / "a.gpkg", "PRAGMA user_version") == [(10300,)]
    assert rows(tmp_path / "a.gpkg", "PRAGMA integrity_check") == [("ok",)]


def test_without_a_position_coordinates_are_pixels_of_no_system(tmp_path):
    with writing_geopackage(tmp_path / "a.gpkg", "a", None) as file:
        file.add(1, "road", SQUARE)

    ((blob,),) = rows(tmp_path / "a.gpkg", "SELECT geom FROM objects")
    assert rings_of(blob) == (-1, (1, 3, 0, 2), [[[1, 0], [1, 2], [3, 2], [3, 0], [1, 0]]])


def test_large_objects_are_written_in_pieces_and_equal_files_come_of_equal_objects(tmp_path, monkeypatch):
    def written(name: str) -> Path:
        with writing_geopackage(tmp_path / name, "a", None) as file:
            for polygon in (RING, SQUARE):
                file.add(1, "road", polygon)
        return tmp_path / name

    whole = written("whole.gpkg").read_bytes()
    again = written("again.gpkg").read_bytes()
    monkeypatch.setattr(geopackages, "POINTS", 2)
    query = "SELECT geom, class_id, pixels FROM objects ORDER BY fid"

    assert again == whole
    assert rows(written("pieces.gpkg"), query) == rows(tmp_path / "whole.gpkg", query)


def test_nothing_gives_an_empty_layer(tmp_path):
    with writing_geopackage(tmp_path / "a.gpkg", "a", None):
        pass

    assert rows(tmp_path / "a.gpkg", "SELECT min_x FROM gpkg_contents") == [(None,)]
    assert rows(tmp_path / "a.gpkg", "SELECT * FROM objects") == []


def test_an_object_of_more_corners_than_a_row_holds_is_refused(tmp_path):
    with writing_geopackage(tmp_path / "a.gpkg", "a", None) as file:
        file._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 200)
        file.add(1, "road", SQUARE)
        with pytest.raises(DataError, match="8 corners") as caught:
            file.add(1, "road", RING)
        file._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10**6)  # statements are shorter than that
    assert (caught.value.code, caught.value.help) == ("D151", "choose `polygons` geojson")


def test_the_polygons_are_those_of_geojson(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (9, 11)).astype(np.uint8)
    for kind in ("geojson", "gpkg"):
        annotations_of(kind, tmp_path, CLASSES).add(tmp_path / "a.tif", Path("day/a"), prediction_of(labels), UTM)

    features = json.loads((tmp_path / "polygons/day/a.geojson").read_text("utf-8"))["features"]
    found = rows(tmp_path / "polygons/day/a.gpkg", "SELECT geom, class, class_id, pixels FROM objects ORDER BY fid")
    assert len(found) == len(features) > 10
    for (blob, *rest), feature in zip(found, features, strict=True):
        assert rest == [feature["properties"][key] for key in ("class", "class_id", "pixels")]
        assert rings_of(blob)[2] == feature["geometry"]["coordinates"]


def test_a_failed_image_leaves_no_file(tmp_path):
    kept = annotations_of("gpkg", tmp_path, CLASSES)
    labels = np.ones((2, 2), np.uint8)
    kept.add(tmp_path / "a.tif", Path("a"), prediction_of(labels))
    before = (tmp_path / "polygons/a.gpkg").read_bytes()

    class Failing:
        image = np.zeros((2, 2, 3), np.uint8)
        multilabel = False

        def polygons(self) -> dict:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        kept.add(tmp_path / "a.tif", Path("a"), Failing())  # type: ignore[arg-type]

    assert [path.name for path in (tmp_path / "polygons").iterdir()] == ["a.gpkg"]
    assert (tmp_path / "polygons/a.gpkg").read_bytes() == before


def with_functions(path: Path) -> sqlite3.Connection:
    """A connection with the functions that programs for maps bring, by the reader above."""
    connection = sqlite3.connect(path)
    for place, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        connection.create_function(name, 1, lambda blob, place=place: rings_of(blob)[1][place])
    connection.create_function("ST_IsEmpty", 1, lambda blob: not rings_of(blob)[2])
    return connection


INDEX = "rtree_objects_geom"


def test_an_index_has_the_rectangle_of_every_object(tmp_path: Path):
    with writing_geopackage(
        tmp_path / "a.gpkg", "a", Placement((0.5, 0.0, 500000.0, 0.0, -0.5, 5000000.0), 32633)
    ) as package:
        package.add(1, "road", SQUARE)
        package.add(2, "car", RING)
    found = rows(tmp_path / "a.gpkg", f"SELECT * FROM {INDEX} ORDER BY id")
    # 0.5 m per pixel from (500000, 5000000); an index has 32 bits and is never smaller than its object.
    assert found == [(1, 500000.5, 500001.5, 4999999.0, 5000000.0), (2, 500000.0, 500001.5, 4999998.5, 5000000.0)]
    assert rows(tmp_path / "a.gpkg", "SELECT extension_name, scope FROM gpkg_extensions") == [
        ("gpkg_rtree_index", "write-only")
    ]
    inside = f"SELECT id FROM {INDEX} WHERE minx <= 500000.25 AND maxx >= 500000.25"
    assert rows(tmp_path / "a.gpkg", inside) == [(2,)]


def test_the_index_follows_programs_that_change_objects(tmp_path: Path):
    path = tmp_path / "a.gpkg"
    with writing_geopackage(path, "a", None) as package:
        package.add(1, "road", SQUARE)
        package.add(2, "car", RING)
    connection = with_functions(path)
    rectangles = f"SELECT * FROM {INDEX} ORDER BY id"
    try:
        connection.execute("INSERT INTO objects SELECT 7, geom, class, class_id, pixels FROM objects WHERE fid = 1")
        assert connection.execute(rectangles).fetchall()[2] == (7, 1.0, 3.0, 0.0, 2.0)
        connection.execute("UPDATE objects SET geom = (SELECT geom FROM objects WHERE fid = 2) WHERE fid = 7")
        assert connection.execute(rectangles).fetchall()[2] == (7, 0.0, 3.0, 0.0, 3.0)
        connection.execute("UPDATE objects SET fid = 9 WHERE fid = 7")
        assert [row[0] for row in connection.execute(rectangles)] == [1, 2, 9]
        connection.execute("DELETE FROM objects WHERE fid < 9")
        assert connection.execute(rectangles).fetchall() == [(9, 0.0, 3.0, 0.0, 3.0)]
    finally:
        connection.close()


def test_where_sqlite_has_no_index_everything_else_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    monkeypatch.setattr(geopackages, "_MODULE", "nothing_such(id)")
    geopackages._has_index.cache_clear()
    request.addfinalizer(geopackages._has_index.cache_clear)
    with writing_geopackage(tmp_path / "a.gpkg", "a", None) as package:
        package.add(1, "road", SQUARE)
    assert rows(tmp_path / "a.gpkg", "SELECT class FROM objects") == [("road",)]
    names = rows(tmp_path / "a.gpkg", "SELECT name FROM sqlite_master WHERE type = 'trigger' OR name LIKE '%rtree%'")
    assert [name for (name,) in names if "rtree" in name] == []
    assert rows(tmp_path / "a.gpkg", "PRAGMA integrity_check") == [("ok",)]
