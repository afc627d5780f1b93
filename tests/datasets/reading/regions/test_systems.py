"""Coordinate systems in WKT, and positions as tags."""

from __future__ import annotations

import pytest
from datasets.reading.regions.mosaics import WKT

from pixelwise.datasets.reading.georeference import placement_of
from pixelwise.datasets.reading.regions.systems import MapSystem, map_system, placed, system_tags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WKT, MapSystem(32633, projected=True)),
        ('GEOGCS["WGS 84",DATUM["a",AUTHORITY["EPSG","6326"]],AUTHORITY["EPSG","4326"]]', MapSystem(4326, False)),
        ('GEOGCRS["WGS 84",CS[ellipsoidal,2],ID["EPSG",4326]]', MapSystem(4326, False)),
        (f'COMPD_CS["a",{WKT},VERT_CS["b",AUTHORITY["EPSG","5773"]],AUTHORITY["EPSG","9999"]]', MapSystem(32633, True)),
        (f'BOUNDCRS[SOURCECRS[{WKT}],TARGETCRS[GEOGCRS["a",ID["EPSG",4326]]]]', MapSystem(32633, True)),
        ('PROJCS["a",GEOGCS["b",AUTHORITY["EPSG","4326"]]]', None),
        ('PROJCS["a",AUTHORITY["ESRI","102003"]]', None),
        ('LOCAL_CS["a",AUTHORITY["EPSG","4326"]]', None),
        ("EPSG:4326", MapSystem(4326, projected=False)),
        (" epsg:32633\n", MapSystem(32633, projected=True)),
        ("urn:ogc:def:crs:EPSG::25832", MapSystem(25832, projected=True)),
        ("urn:ogc:def:crs:EPSG:9.8:4258", MapSystem(4258, projected=False)),
        ("http://www.opengis.net/def/crs/EPSG/0/3857", MapSystem(3857, projected=True)),
        ("EPSG:2154", None),  # projected, as 3819 beside it is not: the number does not tell
        ("EPSG:99999", None),
        ("ESRI:102003", None),
        ("", None),
        ("[" * 100_000, None),
        ("A[" * 30_000, None),
        ('PROJCS["a"]]', None),
    ],
)
def test_the_code_is_that_of_the_horizontal_system(text, expected):
    assert map_system(text) == expected


def test_positions_become_tags():
    upright = placement_of(placed((5e5, 0.5, 0.0, 5e6, 0.0, -0.5), system_tags(MapSystem(32633, projected=True))))
    turned = placement_of(placed((10.0, 1.0, 2.0, 20.0, 3.0, 4.0), system_tags(MapSystem(4326, projected=False))))

    assert upright is not None
    assert (upright.affine, upright.epsg) == ((0.5, 0.0, 5e5, 0.0, -0.5, 5e6), 32633)
    assert turned is not None
    assert (turned.affine, turned.epsg) == ((1.0, 2.0, 10.0, 3.0, 4.0, 20.0), 4326)


def test_keys_of_centres_become_those_of_corners():
    keys = ((34735, 3, 12, (1, 1, 0, 2, 1025, 0, 1, 2, 3072, 0, 1, 32633), True),)

    assert placement_of(placed((0.0, 1.0, 0.0, 0.0, 0.0, -1.0), keys)).affine == (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # type: ignore[union-attr]
