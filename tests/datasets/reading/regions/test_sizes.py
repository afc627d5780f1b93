"""Masks of another size than their image, which are refused by what their files state."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from datasets.reading.regions.pngs import SIGNATURE, chunk
from foreign_data import write_parquet, write_tar
from PIL import Image

from pixelwise.datasets.labels import table_of
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.regions import png_masks
from pixelwise.datasets.reading.regions.measuring import measure_labels
from pixelwise.datasets.reading.regions.pairs import Learnt, PairRegions
from pixelwise.datasets.reading.regions.sizes import refuse_other_sizes, sizes_error, stated_sizes
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data


@pytest.fixture(autouse=True)
def never_stored(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storing a mask in tiles is an error of the test."""

    def convert(path: Path, folder: Path) -> None:
        raise AssertionError(f"{path} was stored in tiles")

    monkeypatch.setattr(png_masks, "_convert", convert)


def dataset(root: Path, multilabel: bool = False) -> Dataset:
    return Dataset(
        name="folder",
        root=root,
        classes=("sky", "road"),
        palette=((0, 0, 0), (1, 0, 0)),
        label_table=table_of({0: 0, 255 if multilabel else 1: 1}),
        splits={},
        reading=Reading(max_pixels=100),
        multilabel=multilabel,
    )


def png(path: Path, height: int, width: int) -> Path:
    """A mask of any size that takes hardly any room: one row of zeros is all that is stored."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    path.write_bytes(SIGNATURE + head + chunk(b"IDAT", zlib.compress(bytes(width + 1))) + chunk(b"IEND", b""))
    return path


def pair(root: Path, mask: Path, image: tuple[int, int] = (30, 20)) -> Sample:
    tifffile.imwrite(root / "a.tif", np.zeros((*image, 3), np.uint8), metadata=None, tile=(16, 16))
    return Sample("a", root / "a.tif", mask)


@pytest.mark.parametrize(("size", "code"), [((1 << 15, 1 << 15), "D201"), ((20, 30), "D110"), ((30, 21), "D201")])
def test_other_sizes_are_refused_before_anything_is_stored(tmp_path: Path, size: tuple[int, int], code: str) -> None:
    sample, data = pair(tmp_path, png(tmp_path / "m.png", *size)), dataset(tmp_path)
    for refuse in (lambda: PairRegions(sample, data), lambda: refuse_other_sizes(sample, data.reading)):
        with pytest.raises(DataError) as caught:
            refuse()
        assert (caught.value.code, "m.png" in caught.value.message) == (code, True)
    for image in ((30, 20), None):
        measured = measure_labels(sample, data, image)
        assert (measured.sizes, measured.errors, measured.mask) == ({sample.mask_path: size}, [], None)
    assert sizes_error(sample, (30, 20), {tmp_path / "m.png": size}, 1, data.reading) is not None
    assert sizes_error(sample, size, {tmp_path / "m.png": size}, 1, data.reading) is None


def test_every_mask_of_multi_label_data_is_compared(tmp_path: Path) -> None:
    good, other = png(tmp_path / "good.png", 30, 20), png(tmp_path / "other.png", 9999, 9999)
    whole = pair(tmp_path, good)
    sample = Sample("a", whole.image_path, good, class_masks=(good, None), ignore_mask=other)
    with pytest.raises(DataError, match=r"other\.png: the mask is 9999x9999"):
        PairRegions(sample, dataset(tmp_path, multilabel=True))


def test_a_data_set_with_such_a_mask_is_opened_without_storing_it(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name / "train").mkdir(parents=True)
    png(tmp_path / "masks/train/a.png", 9999, 9999)
    tifffile.imwrite(tmp_path / "images/train/a.tif", np.zeros((30, 20, 3), np.uint8), metadata=None, tile=(16, 16))
    (tmp_path / "dataset.toml").write_text('classes = ["sky", "road"]\n')
    assert len(open_dataset(Data(max_pixels=100), tmp_path).samples("train")) == 1


def as_loose(root: Path, pairs: dict[str, tuple[bytes, bytes]]) -> None:
    for name, contents in pairs.items():
        for kind, ending, content in zip(("images", "masks"), ("tif", "png"), contents, strict=True):
            (root / kind / "train").mkdir(parents=True, exist_ok=True)
            (root / kind / "train" / f"{name}.{ending}").write_bytes(content)


def as_tar(root: Path, pairs: dict[str, tuple[bytes, bytes]]) -> None:
    members = {}
    for name, (image, mask) in pairs.items():
        members |= {f"{name}.tif": image, f"{name}.seg.png": mask}
    write_tar(root / "train-000000.tar", members)


def as_table(root: Path, pairs: dict[str, tuple[bytes, bytes]]) -> None:
    rows = [
        {"image": {"bytes": image, "path": f"{name}.tif"}, "label": {"bytes": mask, "path": f"{name}.png"}, "kind": 1}
        for name, (image, mask) in pairs.items()
    ]
    write_parquet(root / "data/train-00000-of-00001.parquet", rows)


@pytest.mark.parametrize("write", [as_loose, as_tar, as_table])
@pytest.mark.parametrize("size", [(9999, 9999), (20, 30), (30, 21)])
@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_classes_are_inferred_without_storing_such_a_mask(
    tmp_path: Path, write: Callable[[Path, dict[str, tuple[bytes, bytes]]], None], size: tuple[int, int], exif: str
) -> None:
    scratch, root = tmp_path / "scratch", tmp_path / "data"
    for folder in (scratch, root):
        folder.mkdir()
    whole = pair(scratch, png(scratch / "m.png", *size)).image_path.read_bytes()
    small = pair(scratch, scratch / "m.png", (4, 4)).image_path.read_bytes()
    Image.fromarray(np.eye(4, dtype=np.uint8) * 2).save(scratch / "s.png")
    write(root, {"a": (whole, (scratch / "m.png").read_bytes()), "b": (small, (scratch / "s.png").read_bytes())})
    opened = open_dataset(Data(max_pixels=100, exif=exif), root)
    # What the other masks hold, which are read.
    assert opened.label_table.ids == {0: 0, 2: 1, 255: 255}
    assert sum(map(len, opened.splits.values())) == 2


def test_sizes_are_those_of_the_upright_mask(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((20, 30), np.uint8))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "m.png", exif=exif)
    sample = pair(tmp_path, tmp_path / "m.png")
    assert stated_sizes(sample, Reading()) == {tmp_path / "m.png": (30, 20)}
    assert stated_sizes(sample, Reading(exif="ignore")) == {tmp_path / "m.png": (20, 30)}
    refuse_other_sizes(sample, Reading())
    # What was opened before needs no second look, and TIFF files are not stored again.
    assert stated_sizes(sample, Reading(), {tmp_path / "m.png"}) == {}
    assert stated_sizes(pair(tmp_path, tmp_path / "a.tif"), Reading()) == {}


def test_a_mask_of_the_right_size_is_stored(tmp_path: Path) -> None:
    sample = pair(tmp_path, png(tmp_path / "m.png", 30, 20))
    with pytest.raises(AssertionError, match="stored in tiles"):
        PairRegions(sample, dataset(tmp_path), Learnt())
