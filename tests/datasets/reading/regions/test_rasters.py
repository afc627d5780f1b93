"""Stored values of TIFF files, and what they do not mark as missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from pixelwise.datasets.reading.regions.rasters import TiffRaster
from pixelwise.datasets.reading.regions.segments import Rectangle, SegmentCache

WHERE = Rectangle(1, 2, 3, 4)
IMAGE = np.random.default_rng(8).integers(1, 256, (6, 8, 4)).astype(np.uint8)
INSIDE = (slice(1, 4), slice(2, 6))


@contextlib.contextmanager
def raster(path: Path, cache: SegmentCache | None = None, file: int = 0) -> Iterator[TiffRaster]:
    with contextlib.ExitStack() as closing:
        yield TiffRaster(path, cache or SegmentCache(1 << 20), closing, chosen=False, file=file)


def test_values_are_those_of_the_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE[..., :3], photometric="rgb", metadata=None)

    with raster(tmp_path / "a.tif") as found:
        assert (found.size, found.bands, found.dtype, found.orientation) == ((6, 8), 3, np.uint8, 1)
        values = found.read(WHERE).values
        assert np.array_equal(values, IMAGE[INSIDE][..., :3])
        assert found.opaque(WHERE, values) is None
        assert found.place() == (None, None)


def test_an_alpha_channel_or_a_value_or_a_mask_says_what_is_missing(tmp_path):
    image, mask = IMAGE.copy(), IMAGE[..., 0] > 128
    image[2, 3:5, 3] = 0
    tifffile.imwrite(tmp_path / "alpha.tif", image, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
    image[2, 3] = 77
    tifffile.imwrite(
        tmp_path / "value.tif",
        image[..., :3],
        photometric="rgb",
        metadata=None,
        extratags=[(42113, "s", 0, "77", True)],
    )
    with tifffile.TiffWriter(tmp_path / "mask.tif") as file:
        file.write(image[..., :3], photometric="rgb", metadata=None)
        file.write(image[::2, ::2, :3], photometric="rgb", subfiletype=1, metadata=None)
        file.write(mask, photometric="mask", subfiletype=4, metadata=None)

    expected = {"alpha": np.ones((6, 8), bool), "value": np.ones((6, 8), bool), "mask": mask}
    expected["alpha"][2, 3:5] = False
    expected["value"][2, 3] = False
    for name, opaque in expected.items():
        with raster(tmp_path / f"{name}.tif") as found:
            seen = found.opaque(WHERE, found.read(WHERE).values)
            assert seen is not None
            assert np.array_equal(seen, opaque[INSIDE])


def test_files_that_share_a_cache_keep_their_own_tiles(tmp_path):
    for name, values in (("a", IMAGE), ("b", IMAGE[::-1])):
        tifffile.imwrite(tmp_path / f"{name}.tif", values[..., 0], tile=(16, 16), compression="zlib", metadata=None)
    cache = SegmentCache(1 << 20)

    with raster(tmp_path / "a.tif", cache, 0) as one, raster(tmp_path / "b.tif", cache, 1) as other:
        assert np.array_equal(one.read(WHERE).values[..., 0], IMAGE[INSIDE][..., 0])
        assert np.array_equal(other.read(WHERE).values[..., 0], IMAGE[::-1][INSIDE][..., 0])
