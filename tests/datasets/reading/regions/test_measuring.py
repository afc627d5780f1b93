"""What is measured band by band against what is measured of the whole."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import tifffile

from pixelwise.datasets.auditing.examination import Examination, examine
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.areas import measure
from pixelwise.datasets.reading.regions import masks
from pixelwise.datasets.reading.regions.masks import MaskRegions
from pixelwise.datasets.reading.regions.measuring import measure_mask
from pixelwise.datasets.samples import Dataset, Reading, Sample

SIZE = (75, 60)
RANDOM = np.random.default_rng(11)
IDS = np.kron(RANDOM.choice([0, 3, 9, 255], (15, 12)), np.ones((5, 5))).astype(np.uint8)
IDS[40:, 30:] = RANDOM.choice([0, 3, 4, 9], (35, 30))
TABLE = table_of({0: 0, 3: 1, 9: 2})
COLORED = np.stack([IDS, IDS // 2, 255 - IDS], axis=2)
COLORS = table_of({}, {"#0000ff": 0, "#0301fc": 1, "#0904f6": 2, "#ff7f00": 255})


@pytest.fixture(autouse=True)
def _low_bands(monkeypatch: pytest.MonkeyPatch):
    """Bands of a row of tiles."""
    monkeypatch.setattr(masks, "_ROWS", 16)


def examined(root: Path, mask: np.ndarray, table: LabelTable, max_pixels: int, image=None) -> Examination:
    image = RANDOM.integers(0, 256, (*SIZE, 3)).astype(np.uint8) if image is None else image
    rgb = {"photometric": "rgb", "tile": (16, 32), "metadata": None}
    tifffile.imwrite(root / "a.tif", image, **rgb)
    tifffile.imwrite(root / "m.tif", mask, **(rgb if mask.ndim == 3 else rgb | {"photometric": "minisblack"}))
    dataset = Dataset(
        name="folder",
        root=root,
        classes=("a", "b", "c"),
        palette=((0, 0, 0), (1, 0, 0), (2, 0, 0)),
        label_table=table,
        splits={},
        reading=Reading(max_pixels=max_pixels),
    )
    return examine("train", Sample("a", root / "a.tif", root / "m.tif"), dataset, HashCache(root), compared=False)


@pytest.mark.parametrize(
    ("mask", "table"),
    [
        (IDS, msgspec.structs.replace(TABLE, ids={**TABLE.ids, 4: 0})),
        (IDS, TABLE),
        (COLORED, COLORS),
        (COLORED, TABLE),
        (COLORED, msgspec.structs.replace(TABLE, tolerance=2)),
        (IDS * 20, msgspec.structs.replace(TABLE, tolerance=2)),
    ],
)
def test_bands_are_examined_like_the_whole(tmp_path: Path, mask: np.ndarray, table: LabelTable):
    """With and without values that have no class, of which the errors tell the same numbers."""
    image = RANDOM.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    whole, parts = (examined(tmp_path, mask, table, limit, image) for limit in (10_000, 100))
    assert [(str(path), str(error)) for path, error in whole.errors] == [
        (str(path), str(error)) for path, error in parts.errors
    ]
    assert (whole.size, whole.image, whole.digest) == (parts.size, parts.image, parts.digest)
    assert (whole.pixels is None) == (parts.pixels is None)
    assert whole.pixels is None or np.array_equal(whole.pixels, parts.pixels)  # type: ignore[arg-type]
    assert (whole.raw_ids, whole.unknown_ids) == (parts.raw_ids, parts.unknown_ids)
    assert (whole.unknown_colors, whole.encoding, whole.lossy) == (parts.unknown_colors, parts.encoding, parts.lossy)
    assert whole.areas == parts.areas
    assert whole.shades == parts.shades
    assert np.allclose(whole.channel_means, parts.channel_means, rtol=1e-12)
    assert np.allclose(whole.channel_squares, parts.channel_squares, rtol=1e-12)


def test_other_sizes_are_told(tmp_path: Path):
    found = examined(tmp_path, IDS[:60], TABLE, 100)
    assert [error.code for _, error in found.errors] == ["D202", "D201"]
    assert found.pixels is None


def test_values_with_instance_ids_are_those_of_classes(tmp_path: Path):
    table = msgspec.structs.replace(TABLE, divisor=1000)
    values = IDS.astype(np.uint16) * 200 + 50
    tifffile.imwrite(tmp_path / "m.tif", values, tile=(16, 32), metadata=None)
    with MaskRegions(tmp_path / "m.tif", table, Reading()) as mask:
        found = measure_mask(mask, table, semantic=True)
    classes = np.where(values < 1000, values, values // 1000)
    assert found.areas == measure(classes)
    assert found.values == dict(zip(*np.unique(classes, return_counts=True), strict=True))
