"""Data of other programs opens like the loose files that it was made from."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from foreign_data import as_parquet, as_saved, as_webdataset, pairs_of, write_parquet, write_tar
from PIL import Image

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Dataset
from pixelwise.datasets.shards.foreign import indexing
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

MASK = np.array([[0, 1, 1], [0, 2, 1]], np.uint8)


@pytest.fixture
def root(make_folder: Callable[..., Path], own_cache: Path) -> Path:
    keys = [f"train/{number:02}" for number in range(5)] + ["val/a", "val/b", "val/c"]
    return make_folder({key: np.roll(MASK, number) for number, key in enumerate(keys)})


def content(dataset: Dataset) -> dict[str, list[tuple[str, bytes, bytes]]]:
    """Ids and decoded pixels of every sample, in order."""
    return {
        split: [(one.id, *(array.tobytes() for array in read_pair(one, dataset))) for one in samples]
        for split, samples in dataset.splits.items()
    }


@pytest.mark.parametrize("write", [as_webdataset, as_parquet, as_saved])
def test_the_data_is_that_of_the_loose_files(root: Path, tmp_path: Path, write: Callable[[Path, Path], Path]):
    loose, packed = open_dataset(Data(), root), open_dataset(Data(), write(root, tmp_path / "packed"))
    assert content(packed) == content(loose)
    assert fingerprint(packed) == fingerprint(loose)
    assert (packed.classes, packed.name, packed.divided) == (loose.classes, "folder", False)
    assert packed.problems == loose.problems


def test_the_description_beside_counts(root: Path, tmp_path: Path):
    packed = as_webdataset(root, tmp_path / "packed", mask="png")
    (packed / "dataset.toml").write_text('classes = ["x", "y", "z"]\n')
    assert open_dataset(Data(), packed).classes == ("x", "y", "z")
    assert open_dataset(Data(), packed / "{train-000000,val-000000}.tar").classes == ("x", "y", "z")
    assert open_dataset(Data(), packed / "train-000000.tar").divided


def test_the_index_is_made_once_for_each_version(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    packed = as_webdataset(root, tmp_path / "packed")
    first = content(open_dataset(Data(), packed))
    made = []
    plain = indexing._contents
    monkeypatch.setattr(indexing, "_contents", lambda *args, **named: made.append(1) or plain(*args, **named))
    assert content(open_dataset(Data(), packed)) == first
    assert made == []
    (packed / "val-000001.tar").unlink()
    assert [len(samples) for samples in open_dataset(Data(), packed).splits.values()] == [5, 2]
    assert made == [1]


def test_a_format_may_be_named_for_the_values_of_its_masks(root: Path, tmp_path: Path):
    packed = as_webdataset(root, tmp_path / "packed")
    assert len(open_dataset(Data(dataset="cityscapes"), packed).classes) == 19


def test_which_masks_are_meant_is_asked(root: Path, tmp_path: Path):
    buffer = io.BytesIO()
    Image.fromarray(MASK).save(buffer, "png")
    for split in ("train", "val"):
        members = {}
        for name, image, mask in pairs_of(root, split):
            members |= {f"{name}.png": image, f"{name}.seg.png": mask, f"{name}.mask.png": buffer.getvalue()}
        write_tar(tmp_path / "packed" / f"{split}.tar", members)
    with pytest.raises(DataError, match=r"mask \(8\), seg \(8\)") as caught:
        open_dataset(Data(), tmp_path / "packed")
    assert caught.value.code == "D274"
    answered = open_dataset(Data(mask_field="seg.png"), tmp_path / "packed")
    assert content(answered) == content(open_dataset(Data(), root))


def test_a_tar_that_was_cut_off_after_it_was_indexed_is_an_error_of_its_files(root: Path, tmp_path: Path):
    packed = as_webdataset(root, tmp_path / "packed")
    dataset = open_dataset(Data(), packed)
    tar = packed / "val-000001.tar"
    tar.write_bytes(tar.read_bytes()[:600])
    with pytest.raises(DataError, match="ends before it does") as caught:
        read_pair(dataset.splits["val"][2], dataset)
    assert caught.value.code == "D131"


def test_data_without_a_pair_is_refused(root: Path, tmp_path: Path):
    write_tar(tmp_path / "x/train.tar", {"a.png": b"1", "b.mask.png": b"2"})
    with pytest.raises(DataError, match="no images with masks") as caught:
        open_dataset(Data(), tmp_path / "x")
    assert caught.value.code == "D222"
    write_parquet(tmp_path / "y/train.parquet", [])
    with pytest.raises(DataError, match="no images with masks") as caught:
        open_dataset(Data(), tmp_path / "y")


def test_shards_are_made_of_them(root: Path, tmp_path: Path):
    tars, tables = as_webdataset(root, tmp_path / "tars"), as_parquet(root, tmp_path / "tables")
    for packed in (tars, tables):
        made = shard(packed, tmp_path / f"{packed.name}-shards")
        assert fingerprint(open_dataset(Data(), made.root)) == fingerprint(open_dataset(Data(), root))
