"""Rectangles of masks against the mask that is read whole."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import tifffile
from datasets.reading.regions.encodings import encoded

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.masks import load_mask, mask_error, translate
from pixelwise.datasets.reading.regions import png_masks
from pixelwise.datasets.reading.regions.masks import MaskRegions, WholeMask, bands
from pixelwise.datasets.reading.regions.measuring import measure_mask
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError

SIZE = (90, 70)
RANDOM = np.random.default_rng(13)
IDS = np.kron(RANDOM.choice([0, 3, 9, 255], (9, 7), p=[0.5, 0.3, 0.1, 0.1]), np.ones((10, 10))).astype(np.uint8)
TABLE = table_of({0: 0, 3: 1, 9: 2})
GREY = np.repeat(IDS[..., None], 3, axis=2)
NEARLY_GREY = np.concatenate([GREY[:-1], np.full((1, 70, 3), (1, 2, 3), np.uint8)])
COLORED = np.stack([IDS, IDS // 2, 255 - IDS], axis=2)
COLORS = table_of({}, {"#0000ff": 0, "#0301fc": 1, "#0904f6": 2, "#ff7f00": 255})
SMOOTH = (IDS.clip(0, 9) * np.uint8(20)).astype(np.int32)
SMOOTH[:, 1:] = (SMOOTH[:, 1:] + SMOOTH[:, :-1]) // 2
WIDE = np.where(IDS == 255, 70_000, SMOOTH)
TOLERANT = msgspec.structs.replace(table_of({0: 0, 60: 1, 180: 2, 70_000: 255}), tolerance=25)
OPAQUE = np.stack([IDS, np.full_like(IDS, 255)], axis=2)
ALPHA = np.stack([np.zeros_like(IDS), IDS], axis=2)
GREY_ALPHA = {"photometric": "minisblack", "extrasamples": ["unassalpha"]}
PALETTE = {"photometric": "palette", "colormap": RANDOM.integers(0, 65536, (3, 256)).astype(np.uint16)}
TURNED = {"extratags": [(274, "H", 1, 8, True)]}


def tiff(path: Path, mask: np.ndarray, **options) -> Path:
    photometric = "rgb" if mask.ndim == 3 else "minisblack"
    tifffile.imwrite(path, mask, **{"photometric": photometric, "tile": (32, 16), "metadata": None} | options)
    return path


@pytest.mark.parametrize(
    ("mask", "table", "options"),
    [
        (IDS, TABLE, {}),
        (IDS, TABLE, TURNED),
        (IDS, TABLE, PALETTE),
        (IDS, TABLE, {"tile": None, "rowsperstrip": 7}),
        (IDS.astype(np.float32), TABLE, {"compression": "zlib"}),
        (IDS > 3, table_of({0: 0, 1: 1}), {}),
        (IDS, msgspec.structs.replace(table_of({0: 0, 1: 1}), threshold=9), {}),
        (IDS.astype(np.uint16) * 100, msgspec.structs.replace(table_of({0: 0, 3: 1, 9: 2, 255: 255}), divisor=100), {}),
        (GREY, TABLE, {}),
        (COLORED, COLORS, {}),
        (OPAQUE, TABLE, GREY_ALPHA),
        (ALPHA, msgspec.structs.replace(TABLE, from_alpha=True), GREY_ALPHA),
        (SMOOTH.astype(np.uint8), TOLERANT, {}),
        (SMOOTH, TOLERANT, {}),
        (WIDE, TOLERANT, {}),
        (COLORED, msgspec.structs.replace(COLORS, tolerance=3), {}),
    ],
)
def test_rectangles_are_those_of_the_whole(tmp_path: Path, mask: np.ndarray, table: LabelTable, options: dict):
    path = tiff(tmp_path / "m.tif", mask, **options)
    whole = translate(load_mask(path, table, max_pixels=10_000), table).labels
    with MaskRegions(path, table, Reading()) as regions:
        assert regions.size == whole.shape
        # What is known need not be found out again.
        known = MaskRegions(path, table, Reading(), known=regions.known)
        assert known.known == regions.known
        known.close()
        for _ in range(12):
            top, left = (int(RANDOM.integers(0, side)) for side in whole.shape)
            height, width = (
                int(RANDOM.integers(1, side + 1)) for side in (whole.shape[0] - top, whole.shape[1] - left)
            )
            found = regions.labels(Rectangle(top, left, height, width))
            assert found.dtype == np.uint8
            assert np.array_equal(found, whole[top : top + height, left : left + width])


def test_only_the_whole_mask_tells_whether_it_is_grey_and_how_wide_it_is(tmp_path: Path):
    for mask, table, expected in (
        (GREY, TABLE, WholeMask(grey=True)),
        (NEARLY_GREY, TABLE, WholeMask(grey=False)),
        (SMOOTH, TOLERANT, WholeMask(wide=False)),
        (WIDE, TOLERANT, WholeMask(wide=True)),
    ):
        with MaskRegions(tiff(tmp_path / "m.tif", mask), table, Reading()) as regions:
            assert regions.known == expected
    with MaskRegions(tiff(tmp_path / "m.tif", NEARLY_GREY), TABLE, Reading()) as regions:
        raw = regions.raw(Rectangle(0, 0, 10, 10))
    assert raw.values.shape == (10, 10, 3)


def test_what_cannot_be_read_in_parts_is_told(tmp_path: Path):
    varying = np.stack([IDS, RANDOM.choice([0, 255], SIZE).astype(np.uint8)], axis=2)
    pages = tmp_path / "pages.tif"
    tifffile.imwrite(pages, np.stack([IDS, IDS + 1]), photometric="minisblack", tile=(32, 16), metadata=None)
    (tmp_path / "m.bmp").write_bytes(b"BM")
    for path in (tmp_path / "m.bmp", tiff(tmp_path / "m.tif", varying, **GREY_ALPHA), pages):
        with pytest.raises(DataError, match="in parts") as caught:
            MaskRegions(path, TABLE, Reading())
        assert caught.value.code == "D121"
    with (
        MaskRegions(tiff(tmp_path / "m.tif", IDS + 1), TABLE, Reading()) as regions,
        pytest.raises(DataError) as caught,
    ):
        regions.labels(Rectangle(0, 0, 50, 50))
    assert caught.value.code == "D202"


def test_bands_are_rows_of_tiles():
    """1000 rows: tiles of 200 rows make bands of 400 (of at most 512); taller ones than 2048 are cut at 512."""
    assert [where[::2] for where in bands((1000, 7), 200)] == [(0, 400), (400, 400), (800, 200)]
    assert [where[::2] for where in bands((1000, 7), 600)] == [(0, 600), (600, 400)]
    assert [where[::2] for where in bands((1000, 7), 9000)] == [(0, 512), (512, 488)]


DRAWN = {"#000000": 0, "#c80000": 1, "#00c800": 2, "#0000c8": 3}
TABLES = {
    "ids": table_of({0: 0, 1: 1, 2: 2, 3: 3}),
    "two ids": table_of({0: 0, 1: 1}),
    "ids in steps of 20": table_of({0: 0, 20: 1, 40: 2, 60: 3}),
    "fewer ids in steps of 20": table_of({0: 0, 20: 1, 40: 2}),
    "an ignored id": table_of({0: 0, 1: 255, 2: 1, 3: 2}),
    "colours": table_of({}, DRAWN),
    "fewer colours": table_of({}, dict(list(DRAWN.items())[:3])),
    "ids and colours": table_of({0: 0, 1: 1, 2: 2, 3: 255}, DRAWN | {"#0000c8": 255}),
    "nothing": table_of({}),
}
OPTIONS = [
    {},
    {"tolerance": 5},
    {"tolerance": 40},
    {"threshold": 2},
    {"threshold": 128},
    {"divisor": 20},
    {"from_alpha": True},
    {"from_alpha": True, "threshold": 128},
    {"from_alpha": True, "tolerance": 5},
    {"from_alpha": True, "divisor": 100},
]


def whole_or_code(path: Path, table: LabelTable) -> np.ndarray | str:
    try:
        raw = load_mask(path, table, max_pixels=10**6)
    except DataError as error:
        return error.code
    translation = translate(raw, table)
    error = mask_error(path, raw, translation, table, 4)
    return translation.labels if error is None else error.code


def parts_or_code(path: Path, table: LabelTable) -> np.ndarray | str:
    try:
        with MaskRegions(path, table, Reading(), 4) as regions:
            labels = regions.labels(Rectangle(0, 0, *regions.size))
            for _ in range(3):
                top, left = (int(RANDOM.integers(0, side)) for side in labels.shape)
                found = regions.labels(Rectangle(top, left, labels.shape[0] - top, min(9, labels.shape[1] - left)))
                assert np.array_equal(found, labels[top:, left : left + 9])
    except DataError as error:
        return error.code
    return labels


def assert_same(path: Path, table: LabelTable, what: str) -> None:
    whole, parts = whole_or_code(path, table), parts_or_code(path, table)
    if isinstance(whole, str) or isinstance(parts, str):
        # Whether transparency tells anything is a question to all pixels at once.
        may_refuse = what.endswith(("alpha", "RGBA", "transparent colour", "transparent value"))
        wanted = [whole if isinstance(whole, str) else "labels", *["D121"] * may_refuse]
        assert (parts if isinstance(parts, str) else "labels") in wanted, what
    else:
        assert np.array_equal(whole, parts), what


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "content"), encoded().items())
def test_every_option_means_the_same_for_every_encoding(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
):
    monkeypatch.setattr(png_masks, "TILE", 16)
    path = tmp_path / f"m.{name[:3]}"
    path.write_bytes(content)
    for table in TABLES.values():
        for options in OPTIONS:
            assert_same(path, msgspec.structs.replace(table, **options), name)


@pytest.mark.parametrize(
    ("mask", "table"),
    [
        # Colours without a table, and values and colours that cover areas and have no name.
        (COLORED, msgspec.structs.replace(TABLE, tolerance=20)),
        (COLORED, msgspec.structs.replace(table_of({}, {"#0000ff": 0, "#0301fc": 1}), tolerance=3)),
        (SMOOTH, msgspec.structs.replace(table_of({0: 0, 60: 1}), tolerance=25)),
        (IDS, msgspec.structs.replace(table_of({}, {"#000000": 0}), tolerance=1)),
        # Grey colours of which a threshold takes no brightness.
        (GREY.astype(np.int32), msgspec.structs.replace(table_of({0: 0, 1: 1}), threshold=4)),
    ],
)
def test_what_is_refused_whole_is_refused_in_parts(tmp_path: Path, mask: np.ndarray, table: LabelTable):
    assert_same(tiff(tmp_path / "m.tif", mask), table, "RGB")


def test_the_whole_mask_tells_whether_a_value_was_drawn(tmp_path: Path):
    """A strange value is 1 square of 3x3 pixels, with 1 inner pixel of 9, and lines of which none is: 1 of 9 is an
    area, 1 of 79 is none. The square alone looks like an area in both masks."""
    table = msgspec.structs.replace(table_of({0: 0, 60: 1}), tolerance=5)
    square = np.zeros((90, 90), np.uint8)
    square[4:7, 4:7] = 30
    lines = square.copy()
    lines[50, 10:80] = 30
    for mask, code in ((square, "D202"), (lines, None)):
        path = tiff(tmp_path / "m.tif", mask)
        assert isinstance(whole_or_code(path, table), str) == (code is not None)
        with MaskRegions(path, table, Reading(), 4) as regions:
            assert regions.known.strange is None
            assert not regions.labels(Rectangle(60, 60, 20, 20)).any()
            assert regions.known.strange is None  # nothing has to be looked for
            if code is None:
                assert regions.labels(Rectangle(0, 0, 12, 12))[5, 5] == 255
            else:
                with pytest.raises(DataError, match="mask contains 30"):
                    regions.labels(Rectangle(0, 0, 12, 12))
            assert regions.known.strange == frozenset([30] if code else [])
        with MaskRegions(path, table, Reading(), 4) as regions:
            found = measure_mask(regions, table)
        assert found.unknown == ({30: 9} if code else {})
