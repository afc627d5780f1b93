"""Rectangles of one mask per class against the masks that are read whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelwise.datasets.auditing.examination import examine
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.preparing.sharding import _checked
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.reading.regions import masks
from pixelwise.datasets.reading.regions.class_masks import ClassMaskRegions
from pixelwise.datasets.reading.regions.pairs import Learnt, PairRegions
from pixelwise.datasets.reading.regions.segments import Rectangle
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Augment
from pixelwise.transforms.augmentation import random_pair

SIZE = (90, 70)
RANDOM = np.random.default_rng(3)
PLACES = np.kron(RANDOM.choice([0, 1], (4, 9, 7), p=[0.7, 0.3]), np.ones((1, 10, 10))).astype(np.uint8)
IMAGE = RANDOM.integers(0, 256, (*SIZE, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> None:
    """PNG masks are stored in tiles in the cache of the test."""


def data_of(root: Path, max_pixels: int, **table) -> Dataset:
    return Dataset(
        name="folder",
        root=root,
        classes=("sky", "road", "tree"),
        palette=((0, 0, 0), (1, 0, 0), (2, 0, 0)),
        label_table=LabelTable(**table),
        splits={},
        multilabel=True,
        reading=Reading(max_pixels=max_pixels),
    )


def sample_of(root: Path) -> Sample:
    """Classes in several encodings, one that is absent, and a mask of ignored pixels."""
    tifffile.imwrite(root / "a.tif", IMAGE, photometric="rgb", tile=(32, 16), metadata=None)
    Image.fromarray(PLACES[0] * np.uint8(255)).save(root / "sky.png")
    tifffile.imwrite(root / "tree.tif", PLACES[1], tile=(16, 32), compression="zlib", metadata=None)
    Image.fromarray(PLACES[2] != 0).save(root / "void.png")
    return Sample("a", root / "a.tif", root / "sky.png", (root / "sky.png", None, root / "tree.tif"), root / "void.png")


def test_rectangles_are_those_of_the_whole_masks(tmp_path: Path) -> None:
    sample = sample_of(tmp_path)
    _, whole = read_pair(sample, data_of(tmp_path, 10_000))
    # By hand: bit 0 and bit 2, and bit 30 alone where pixels are ignored.
    assert np.array_equal(whole, np.where(PLACES[2], 1 << 30, PLACES[0] + 4 * PLACES[1].astype(np.int32)))
    with ClassMaskRegions(sample, data_of(tmp_path, 100)) as regions:
        assert regions.size == SIZE
        for _ in range(12):
            top, left = (int(RANDOM.integers(0, side)) for side in SIZE)
            height, width = (int(RANDOM.integers(1, side + 1)) for side in (SIZE[0] - top, SIZE[1] - left))
            found = regions.labels(Rectangle(top, left, height, width))
            assert found.dtype == np.int32
            assert np.array_equal(found, whole[top : top + height, left : left + width])


@pytest.mark.parametrize(
    "augment",
    [
        Augment(crop=(40, 32), flip=0.5, scale=(0.5, 2.0)),
        Augment(crop=(30, 30), resampling="antialiased", class_crop=0.8, rotate=20.0),
    ],
)
def test_crops_are_those_of_the_pair_decoded_whole(tmp_path: Path, augment: Augment, monkeypatch) -> None:
    monkeypatch.setattr(masks, "_ROWS", 32)
    sample, learnt = sample_of(tmp_path), Learnt()
    whole = read_pair(sample, data_of(tmp_path, 10_000))
    for seed in range(6):
        expected = random_pair(*whole, augment, np.random.default_rng(seed), (1, 2, 3))
        with PairRegions(sample, data_of(tmp_path, 10_000), learnt) as parts:
            found = random_pair(parts.image, parts.labels, augment, np.random.default_rng(seed), (1, 2, 3))
        for one, other in zip(expected, found, strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)


def test_bands_are_examined_and_counted_like_the_whole(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(masks, "_ROWS", 32)
    sample, hashes = sample_of(tmp_path), HashCache(tmp_path)
    whole, parts = (data_of(tmp_path, limit) for limit in (10_000, 100))
    one, other = (examine("train", sample, data, hashes, compared=False) for data in (whole, parts))
    assert other.errors == one.errors == []
    assert (other.encoding, other.size) == (one.encoding, one.size)
    assert other.pixels is not None
    assert one.pixels is not None
    assert np.array_equal(other.pixels, one.pixels)
    assert _checked(sample, whole) == _checked(sample, parts)
    assert _checked(sample, parts)[1][1] == 0


def test_a_threshold_is_applied_to_parts(tmp_path: Path) -> None:
    sample = sample_of(tmp_path)
    smooth = cv2.blur(PLACES[0] * np.uint8(255), (3, 3))
    Image.fromarray(smooth).save(tmp_path / "sky.png")
    data = data_of(tmp_path, 100, threshold=100)
    with PairRegions(sample, data) as parts:
        found = parts.mask.labels(Rectangle(5, 7, 50, 40))
    assert np.array_equal(found, read_pair(sample, msgspec.structs.replace(data, reading=Reading()))[1][5:55, 7:47])
    assert (found & 1).any()


def errors_of(sample: Sample, root: Path) -> list[tuple[str, str]]:
    """File and code of the errors of `check`, which agree with those of the masks that are read whole."""
    found = [
        [(path.name, error.code, error.message) for path, error in examined.errors]
        for limit in (100, 10_000)
        for examined in [examine("train", sample, data_of(root, limit), HashCache(root), compared=False)]
    ]
    codes = [[(name, code) for name, code, _ in one] for one in found]
    assert codes[0] == codes[1]
    return codes[0]


def test_invalid_masks_are_told_by_their_whole_content(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(masks, "_ROWS", 16)
    sample = sample_of(tmp_path)
    # No band has more than two values.
    values = PLACES[0] * np.uint8(255)
    values[60:] //= 255
    assert values[60:].any()
    Image.fromarray(values).save(tmp_path / "sky.png")
    assert errors_of(sample, tmp_path) == [("sky.png", "D202")]
    with pytest.raises(DataError) as caught:
        _checked(sample, data_of(tmp_path, 100))
    assert caught.value.code == "D202"
    Image.fromarray(IMAGE).save(tmp_path / "sky.png")
    assert errors_of(sample, tmp_path) == [("sky.png", "D205")]
    Image.fromarray(PLACES[0][:50]).save(tmp_path / "sky.png")
    assert errors_of(sample, tmp_path) == [("sky.png", "D201")]
    with pytest.raises(DataError) as caught, PairRegions(sample, data_of(tmp_path, 100)):
        pass
    assert caught.value.code == "D201"
    Image.fromarray(PLACES[0]).save(tmp_path / "sky.png")
    (tmp_path / "tree.tif").write_bytes(b"II*\0")
    with pytest.raises(DataError) as caught, PairRegions(sample, data_of(tmp_path, 100)):
        pass
    assert (caught.value.code, "tree.tif" in caught.value.message) == ("D101", True)
