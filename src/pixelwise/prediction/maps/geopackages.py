"""GeoPackages (OGC 12-128r17, version 1.3): polygons with their class in one table of an SQLite file.

An index of their rectangles (the extension `gpkg_rtree_index`) lets programs draw a part of a map without reading all.
Polygons are written one by one, and the largest in pieces, so that memory depends neither on their number nor on their
size. The same polygons give the same file.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from pixelwise.datasets.reading.georeference import Placement
from pixelwise.errors import DataError
from pixelwise.prediction.polygons import Polygon

TABLE = "objects"
"""Name of the table, which programs show as the layer."""
POINTS = 1 << 14
"""Number of points that are turned into coordinates together."""
_APPLICATION, _VERSION = 0x47504B47, 10300
_CARTESIAN, _GEOGRAPHIC, _WGS84 = -1, 0, 4326
_UNDEFINED = "undefined"
_WGS84_WKT = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,'
    'AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]'
)
_CHANGED = "2000-01-01T00:00:00.000Z"
"""Time of the last change that the file states: always the same, so that equal polygons give equal files."""
_INDEX = f"rtree_{TABLE}_geom"
_SCHEMA = f"""
CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (
    table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
    z TINYINT NOT NULL, m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
    CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE {TABLE} (
    fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POLYGON NOT NULL, class TEXT NOT NULL,
    class_id INTEGER NOT NULL, pixels DOUBLE NOT NULL);
"""
_MODULE = "rtree(id, minx, maxx, miny, maxy)"
_INDEXED = f"""
CREATE VIRTUAL TABLE {_INDEX} USING {_MODULE};
CREATE TABLE gpkg_extensions (
    table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
    CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
INSERT INTO gpkg_extensions VALUES (
    '{TABLE}', 'geom', 'gpkg_rtree_index', 'http://www.geopackage.org/spec130/#extension_rtree', 'write-only');
"""
_ENTERED = (
    f"INSERT OR REPLACE INTO {_INDEX} VALUES "
    "(NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom))"
)
_FORGOTTEN = f"DELETE FROM {_INDEX} WHERE id"
_SOLID = "(NEW.geom NOT NULL AND NOT ST_IsEmpty(NEW.geom))"
_TRIGGERS = {
    "insert": ("INSERT", _SOLID, _ENTERED),
    "update1": ("UPDATE OF geom", f"OLD.fid = NEW.fid AND {_SOLID}", _ENTERED),
    "update2": ("UPDATE OF geom", f"OLD.fid = NEW.fid AND NOT {_SOLID}", f"{_FORGOTTEN} = OLD.fid"),
    "update3": ("UPDATE", f"OLD.fid != NEW.fid AND {_SOLID}", f"{_FORGOTTEN} = OLD.fid; {_ENTERED}"),
    "update4": ("UPDATE", f"OLD.fid != NEW.fid AND NOT {_SOLID}", f"{_FORGOTTEN} IN (OLD.fid, NEW.fid)"),
    "delete": ("DELETE", "OLD.geom NOT NULL", f"{_FORGOTTEN} = OLD.fid"),
}
"""Name -> event, condition and action of the triggers by which programs that change polygons keep the index right. They
use functions of those programs, so they are made when all polygons are there."""


class GeoPackage:
    """A GeoPackage that is being written. It belongs to the thread that made it.

    Args:
        path: The file; it is empty or does not exist.
        identifier: Name of the content for users, such as the name of the image.
        placement: Where the pixels lie on the map; None for coordinates in pixels, from the upper left corner, y
            downwards.

    Raises:
        OSError: The file cannot be written, for example because the disk is full.
    """

    def __init__(self, path: Path, identifier: str, placement: Placement | None) -> None:
        self._placement = placement
        self._system = _CARTESIAN if placement is None or placement.epsg is None else placement.epsg
        self._bounds = (np.full(2, np.inf), np.full(2, -np.inf))
        with _errors(path):
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._begin(identifier)
        self._path = path

    def add(self, class_id: int, name: str, polygon: Polygon) -> None:
        """Add an object.

        Args:
            class_id: Its class.
            name: Name of the class.
            polygon: Its outline in pixels.

        Raises:
            DataError: D151, it has more corners than a GeoPackage can hold.
            OSError: The file cannot be written.
        """
        rings = [polygon.outline, *polygon.holes]
        low, high = self._bounds_of(polygon.outline)
        head = b"GP\0\3" + struct.pack("<i4d", self._system, low[0], high[0], low[1], high[1])
        head += struct.pack("<BII", 1, 3, len(rings))
        size = len(head) + sum(4 + 16 * (len(ring) + 1) for ring in rings)
        most = self._connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
        if size > most:
            raise DataError(
                "D151",
                f"an object has {sum(map(len, rings))} corners, {size / 1e6:.0f} MB; a GeoPackage holds "
                f"{most / 1e6:.0f} MB",
                "choose `polygons` geojson",
            )
        pieces = self._pieces(head, rings)
        values = (name, class_id, polygon.area)
        with _errors(self._path):
            insert = f"INSERT INTO {TABLE} (geom, class, class_id, pixels) VALUES"  # a constant
            if size <= 16 * POINTS:
                row = self._connection.execute(f"{insert} (?, ?, ?, ?)", (b"".join(pieces), *values)).lastrowid
            else:
                row = self._connection.execute(f"{insert} (zeroblob(?), ?, ?, ?)", (size, *values)).lastrowid
                with self._connection.blobopen(TABLE, "geom", row or 0) as blob:
                    for piece in pieces:
                        blob.write(piece)
            if self._indexed:
                entry = (row, low[0], high[0], low[1], high[1])
                self._connection.execute(f"INSERT INTO {_INDEX} VALUES (?, ?, ?, ?, ?)", entry)
        self._bounds = np.minimum(self._bounds[0], low), np.maximum(self._bounds[1], high)

    def finish(self) -> None:
        """Complete the file.

        Raises:
            OSError: It cannot be written.
        """
        (left, bottom), (right, top) = self._bounds
        bounds = (left, bottom, right, top) if np.isfinite(left) else (None,) * 4
        with _errors(self._path):
            self._connection.execute("UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ?", bounds)
            for name, (event, condition, action) in _TRIGGERS.items() if self._indexed else ():
                self._connection.execute(
                    f"CREATE TRIGGER {_INDEX}_{name} AFTER {event} ON {TABLE} WHEN {condition} BEGIN {action}; END"
                )
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file, which stays incomplete unless it was finished."""
        self._connection.close()

    def _begin(self, identifier: str) -> None:
        run = self._connection.execute
        # The file gets its name when it is complete, so nothing is gained by undoing or flushing parts of it.
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"application_id = {_APPLICATION}"):
            run(f"PRAGMA {setting}")
        run(f"PRAGMA user_version = {_VERSION}")
        run("BEGIN")
        self._indexed = _has_index()
        for statement in (_SCHEMA + (_INDEXED if self._indexed else "")).split(";\n")[:-1]:
            run(statement)
        systems = [
            ("Undefined Cartesian SRS", _CARTESIAN, "NONE", _CARTESIAN, _UNDEFINED),
            ("Undefined geographic SRS", _GEOGRAPHIC, "NONE", _GEOGRAPHIC, _UNDEFINED),
            ("WGS 84 geodetic", _WGS84, "EPSG", _WGS84, _WGS84_WKT),
        ]
        if self._system not in (_CARTESIAN, _WGS84):
            # Programs know the systems of EPSG by their codes.
            systems.append((f"EPSG:{self._system}", self._system, "EPSG", self._system, _UNDEFINED))
        self._connection.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL)", systems)
        run(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change, srs_id) VALUES (?, ?, ?, ?, ?)",
            (TABLE, "features", identifier, _CHANGED, self._system),
        )
        run("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'POLYGON', ?, 0, 0)", (TABLE, self._system))

    def _bounds_of(self, ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest coordinates of a ring, float64 (2) each."""
        found = [(part.min(0), part.max(0)) for part in self._parts(ring)]
        lows, highs = zip(*found, strict=True)
        return np.min(lows, axis=0), np.max(highs, axis=0)

    def _pieces(self, head: bytes, rings: list[np.ndarray]) -> Iterator[bytes]:
        yield head
        for ring in rings:
            yield struct.pack("<I", len(ring) + 1)
            # Outlines are clockwise where y points down, and still so on the map; other formats want the opposite.
            turned = np.concatenate([ring[:1], ring[:0:-1], ring[:1]])
            for part in self._parts(turned):
                yield part.astype("<f8").tobytes()

    def _parts(self, ring: np.ndarray) -> Iterator[np.ndarray]:
        """The coordinates float64 (n, 2) of a ring, some at a time."""
        for first in range(0, len(ring), POINTS):
            part = ring[first : first + POINTS]
            yield part.astype(np.float64) if self._placement is None else self._placement.points(part)


@cache
def _has_index() -> bool:
    """Whether SQLite has what the index is made of; some systems leave it out, and everything else works without."""
    # Not in the file itself, where nothing is undone if it fails.
    with contextlib.closing(sqlite3.connect(":memory:")) as trial:
        try:
            trial.execute(f"CREATE VIRTUAL TABLE trial USING {_MODULE}")
        except sqlite3.OperationalError:
            return False
    return True


@contextlib.contextmanager
def writing_geopackage(path: Path, identifier: str, placement: Placement | None) -> Iterator[GeoPackage]:
    """Context that yields a GeoPackage; it is completed at the end of the block, or left incomplete if that fails."""
    package = GeoPackage(path, identifier, placement)
    try:
        yield package
        package.finish()
    finally:
        package.close()


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Context that writes to a database: its errors become those of the system."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = errno.ENOSPC if error.sqlite_errorcode == sqlite3.SQLITE_FULL else errno.EIO
        raise OSError(code, str(error), str(path)) from error
