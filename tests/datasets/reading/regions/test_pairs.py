"""Crops of pairs that are read in parts against crops of pairs that are decoded whole."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tifffile
from PIL import Image
from serving import serving

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.labels import table_of
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.reading.regions.pairs import Learnt, PairRegions, is_in_parts
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Augment, Data
from pixelwise.storage.stores import members, ranged
from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.ahead import fetch
from pixelwise.transforms.augmentation import random_pair
from pixelwise.transforms.parts import Window

SIZE = (150, 130)
CLASSES = ("sky", "road", "tree")
RANDOM = np.random.default_rng(7)
IMAGE = RANDOM.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
IDS = np.kron(RANDOM.choice([0, 3, 9, 255], (15, 13), p=[0.5, 0.3, 0.1, 0.1]), np.ones((10, 10))).astype(np.uint8)
TABLE = table_of({0: 0, 3: 1, 9: 2})
TILES = {"tile": (32, 48), "compression": "zlib"}


def dataset(root: Path, table=TABLE, **reading) -> Dataset:
    return Dataset(
        name="folder",
        root=root,
        classes=CLASSES,
        palette=((0, 0, 0), (1, 0, 0), (2, 0, 0)),
        label_table=table,
        splits={},
        reading=Reading(**reading),
    )


def pair(root: Path, mask: np.ndarray, image: np.ndarray = IMAGE, mask_options=TILES, **options) -> Sample:
    tifffile.imwrite(root / "a.tif", image, metadata=None, **(options or TILES))
    tifffile.imwrite(root / "a_mask.tif", mask, metadata=None, **mask_options)
    return Sample("a", root / "a.tif", root / "a_mask.tif")


def assert_same_crops(sample: Sample, data: Dataset, augment: Augment, number: int = 6) -> None:
    whole, learnt = read_pair(sample, data), Learnt()
    fill = tuple(range(whole[0].shape[2]))
    for seed in range(number):
        expected = random_pair(*whole, augment, np.random.default_rng(seed), fill)
        with PairRegions(sample, data, learnt) as parts:
            found = random_pair(parts.image, parts.labels, augment, np.random.default_rng(seed), fill)
        for one, other in zip(expected, found, strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)


AUGMENTS = [
    Augment(crop=(40, 32), flip=0.5, scale=(0.5, 2.0)),
    Augment(crop=(40, 32), flip=0.5, scale=(0.5, 2.0), resampling="antialiased", class_crop=0.8, rotate=20.0),
]


@pytest.mark.parametrize("augment", AUGMENTS)
@pytest.mark.parametrize("options", [TILES, {"rowsperstrip": 7}, {"rowsperstrip": 40, "compression": "lzw"}])
def test_crops_equal_those_of_the_pair_decoded_whole(tmp_path: Path, augment: Augment, options: dict) -> None:
    sample = pair(tmp_path, IDS, mask_options=options, **options, bigtiff=True)
    assert_same_crops(sample, dataset(tmp_path), augment)


@pytest.mark.parametrize("augment", AUGMENTS)
def test_crops_with_png_masks_equal_those_of_the_pair_decoded_whole(tmp_path: Path, own_cache, augment: Augment):
    sample = pair(tmp_path, IDS)
    Image.fromarray(IDS).save(tmp_path / "a.png")
    assert_same_crops(msgspec.structs.replace(sample, mask_path=tmp_path / "a.png"), dataset(tmp_path), augment)


TURNED = {"extratags": [(274, "H", 1, 6, True)]}


def test_upright_images_and_masks(tmp_path: Path) -> None:
    sample = pair(tmp_path, IDS, mask_options=TILES | TURNED, **TILES, **TURNED)
    for exif in ("apply", "ignore"):
        assert_same_crops(sample, dataset(tmp_path, exif=exif), AUGMENTS[1], 3)


def test_bands_are_chosen(tmp_path: Path) -> None:
    bands = RANDOM.integers(0, 3000, (*SIZE, 5)).astype(np.uint16)
    sample = pair(tmp_path, IDS, bands, planarconfig="contig", photometric="minisblack", **TILES)
    data = dataset(tmp_path, channels=(4, 0, 1, 2), input_range=(0, 3000))
    assert_same_crops(sample, data, AUGMENTS[0], 3)


def test_a_grey_part_of_a_colour_mask_is_read_by_its_colours(tmp_path: Path) -> None:
    """Without a table of colours, whether a mask is grey is decided by all of it, as for one that is decoded whole."""
    mask = np.repeat(IDS[..., None], 3, axis=2)
    mask[-1, -1] = (1, 2, 3)
    sample = pair(tmp_path, mask)
    with PairRegions(sample, dataset(tmp_path)) as parts, pytest.raises(DataError) as caught:
        random_pair(parts.image, parts.labels, Augment(crop=(8, 8)), np.random.default_rng(1), (0, 0, 0))
    assert caught.value.code == "D205"


def test_only_tiff_images_above_the_limit_are_read_in_parts(tmp_path: Path) -> None:
    sample = pair(tmp_path, IDS)
    Image.fromarray(IMAGE).save(tmp_path / "b.png")
    pixels = SIZE[0] * SIZE[1]
    assert is_in_parts(sample.image_path, Reading(max_pixels=pixels - 1))
    assert not is_in_parts(sample.image_path, Reading(max_pixels=pixels))
    assert not is_in_parts(tmp_path / "b.png", Reading(max_pixels=10))


def code_of(sample: Sample, data: Dataset, augment: Augment = AUGMENTS[0]) -> str:
    with pytest.raises(DataError) as caught, PairRegions(sample, data) as parts:
        random_pair(parts.image, parts.labels, augment, np.random.default_rng(0), (0, 0, 0))
    return caught.value.code


def test_masks_that_cannot_be_read_in_parts_are_refused(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    Image.fromarray(IDS).save(tmp_path / "a.bmp")
    sample = pair(tmp_path, IDS)
    assert code_of(msgspec.structs.replace(sample, mask_path=tmp_path / "a.bmp"), data) == "D121"
    assert code_of(msgspec.structs.replace(sample, mask_path=None), data) == "D220"
    assert code_of(pair(tmp_path, IDS[:100]), dataset(tmp_path, mask_resize="nearest")) == "D201"
    assert code_of(pair(tmp_path, IDS.T.copy()), data) == "D110"
    assert code_of(pair(tmp_path, IDS + 1), data) == "D202"
    two = np.stack([IDS, RANDOM.choice([0, 255], SIZE).astype(np.uint8)], axis=2)
    alpha = TILES | {"photometric": "minisblack", "extrasamples": ["unassalpha"]}
    assert code_of(pair(tmp_path, two, mask_options=alpha), data) == "D121"


def test_a_crop_of_more_pixels_than_are_decoded_whole_is_refused(tmp_path: Path) -> None:
    sample, data = pair(tmp_path, IDS), dataset(tmp_path, max_pixels=3000)
    assert code_of(sample, data, Augment(crop=(64, 64))) == "D120"
    whole = Augment(crop=(8, 8), scale=(0.9, 0.9), resampling="area")
    assert code_of(sample, data, whole) == "D120"


@pytest.mark.heavy
def test_a_crop_of_a_far_shard_reads_its_tiles_alone(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("obstore")
    size = (2048, 1536)
    for name in ("images", "masks"):
        (tmp_path / "data" / name / "train").mkdir(parents=True)
    image = RANDOM.integers(0, 256, (*size, 3)).astype(np.uint8)  # 9.4 MB, which do not compress
    mask = np.kron(RANDOM.choice([0, 1, 2, 255], (32, 24)), np.ones((64, 64))).astype(np.uint8)
    tifffile.imwrite(tmp_path / "data/images/train/a.tif", image, metadata=None, tile=(128, 128))
    tifffile.imwrite(tmp_path / "data/masks/train/a.tif", mask, metadata=None, tile=(128, 128))
    (tmp_path / "data/dataset.toml").write_text('classes = ["sky", "road", "tree"]\n')
    monkeypatch.setattr(members, "WHOLE", 1_000_000)
    asked = Data(max_pixels=1_000_000)
    done = shard(tmp_path / "data", tmp_path / "shards", [f"data.max_pixels={asked.max_pixels}"])
    assert (done.pairs, done.faulty) == ({"train": 1}, {})
    augment = Augment(crop=(200, 200))
    with serving(tmp_path / "shards") as server:
        near, far = (open_dataset(asked, place_of(root)) for root in (str(tmp_path / "data"), server.address))
        assert fingerprint(near) == fingerprint(far)
        (one,), (other,) = near.samples("train"), far.samples("train")
        opened = len(server.requests)
        fetch([other.image_path, *other.mask_files])
        with pytest.raises(DataError) as caught:
            read_pair(other, far)
        assert caught.value.code == "D120"
        learnt = Learnt()
        crops = []
        for sample, data in ((one, near), (other, far)):
            with PairRegions(sample, data, learnt) as parts:
                crops.append(random_pair(parts.image, parts.labels, augment, np.random.default_rng(5), (0, 0, 0)))
        for loose, ranged in zip(*crops, strict=True):
            assert np.array_equal(loose, ranged)
        read = [line.split("bytes=")[1].split("-") for line in server.requests[opened:]]
    # At most 3x3 tiles of 48 and of 16 kB, what lies beside them in their blocks, the headers, and the probe.
    assert sum(int(last) - int(first) + 1 for first, last in read) < 2_500_000
    assert len(read) < 20


@pytest.mark.parametrize("far", [False, pytest.param(True, marks=pytest.mark.heavy)])
def test_a_shard_that_changes_between_crops_is_said(tmp_path: Path, own_cache: Path, monkeypatch, far: bool):
    pytest.importorskip("obstore")
    ids = np.select([IDS == 3, IDS == 9, IDS == 255], [1, 2, 255]).astype(np.uint8)
    # Larger than the part in the middle that is read when an image is opened.
    image, ids = np.tile(IMAGE, (4, 4, 1)), np.tile(ids, (4, 4))
    for name, pixels in (("images", image), ("masks", ids)):
        (tmp_path / "data" / name / "train").mkdir(parents=True)
        tifffile.imwrite(tmp_path / f"data/{name}/train/a.tif", pixels, metadata=None, tile=(32, 48))
    (tmp_path / "data/dataset.toml").write_text('classes = ["sky", "road", "tree"]\n')
    monkeypatch.setattr(members, "WHOLE", 10_000)
    monkeypatch.setattr(ranged, "BLOCK", 4096)
    asked = Data(max_pixels=10_000)
    shard(tmp_path / "data", tmp_path / "shards", ["data.max_pixels=10000"])
    with serving(tmp_path / "shards") as server:
        data = open_dataset(asked, place_of(server.address) if far else tmp_path / "shards")
        (sample,) = data.samples("train")
        assert sample.image_path.by_ranges  # type: ignore[attr-defined]
        with PairRegions(sample, data) as parts:
            top = parts.image.part(Window(0, 0, 8, 8)).values
            assert np.array_equal(top, IMAGE[:8, :8])
            (tar,) = (tmp_path / "shards").glob("*.tar")
            content = tar.read_bytes()
            tar.write_bytes(content[:5000] + bytes(byte ^ 255 for byte in content[5000:]))
            os.utime(tar, ns=(0, tar.stat().st_mtime_ns + 10**9))
            with pytest.raises(DataError) as caught:
                parts.image.part(Window(500, 480, 560, 510))
        assert (caught.value.code, "a.tif" in caught.value.message) == ("D275", True)
