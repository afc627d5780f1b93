"""Places of images as tifffile writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from datasets.auditing.test_positions import pair, tags

from pixelwise.datasets.auditing.audit import Audit, audit
from pixelwise.datasets.auditing.places import MapSystem
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data
from pixelwise.reports.audit.words import places_in_words


def audited(root: Path) -> Audit:
    return audit(open_dataset(Data(classes=("a", "b")), root))


def named(epsg: int, words: str, *keys: tuple[int, int]) -> list:
    """The tags of a file that names its system, as GDAL writes them."""
    text = f"{words}|"
    rows = [
        (1024, 0, 1, 1),
        (1026, 34737, len(text), 0),
        (3072, 0, 1, epsg),
        *((key, 0, 1, value) for key, value in keys),
    ]
    directory = (1, 1, 0, len(rows), *(value for row in rows for value in row))
    return [*tags()[:2], (34735, "H", len(directory), directory, True), (34737, "s", 0, text, True)]


def test_systems_pixels_and_bands_are_told(tmp_path):
    pair(tmp_path, "a", named(32633, "WGS 84 / UTM zone 33N", (3076, 9001)), None)
    pair(tmp_path, "b", named(32633, "WGS 84 / UTM zone 33N", (3076, 9001)), None)
    pair(tmp_path, "c", [], None)

    places = audited(tmp_path).places

    assert places is not None
    name = "EPSG:32633 (WGS 84 / UTM zone 33N)"
    assert places.systems == (MapSystem(name=name, unit="metre", images=2, smallest=0.5, largest=0.5),)
    assert places_in_words(places) == (
        f"2 images on the map: {name}, pixels of 0.5 metre; 3 bands of uint8; no pixels marked as missing"
    )


def test_images_without_a_position_have_no_places(tmp_path):
    pair(tmp_path, "a", [], None)

    assert audited(tmp_path).places is None


def test_the_share_of_missing_pixels_is_that_of_the_overview(tmp_path):
    pair(tmp_path, "a", [*tags(), (42113, "s", 0, "0", True)], None)
    image = np.full((4, 4, 3), 9, np.uint8)
    small = np.full((2, 2, 3), 9, np.uint8)
    image[0, 0], small[0, 0] = 0, 0  # one pixel of 16, but one of 4 in the overview
    with tifffile.TiffWriter(tmp_path / "images" / "train" / "a.tif") as file:
        common = {"photometric": "rgb", "metadata": None}
        file.write(image, subifds=1, extratags=[*tags(), (42113, "s", 0, "0", True)], **common)
        file.write(small, subfiletype=1, **common)

    places = audited(tmp_path).places

    assert places is not None
    assert (places.with_missing, places.missing) == (1, 0.25)


def test_different_systems_are_a_warning_but_not_zones_of_utm(tmp_path):
    pair(tmp_path, "a", tags(), None)
    pair(tmp_path, "b", tags(epsg=32733), None)
    assert "W165" not in {one.code for one in audited(tmp_path).findings}

    pair(tmp_path, "c", tags(epsg=3857), None)

    (one,) = (one for one in audited(tmp_path).findings if one.code == "W165")
    assert one.files == ("images/train/a.tif", "images/train/c.tif")
    assert "2 in UTM zones on WGS 84, 1 in EPSG:3857" in one.message
