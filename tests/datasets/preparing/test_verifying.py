from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.preparing.verifying import verify
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.shards.layout import open_shards
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.testing.miniatures import write_miniature

MASK = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)


@pytest.fixture
def shards(make_folder: Callable[..., Path], tmp_path: Path) -> Path:
    root = make_folder({f"{split}/{number}": MASK for split in ("train", "val") for number in range(6)})
    shard(root, tmp_path / "shards", ["data.classes=[a,b]"], size="4kB")
    return tmp_path / "shards"


def test_shards_that_were_just_made_are_right(shards: Path):
    found = verify(shards)
    assert (found.images, found.files, found.problems) == (12, 24, ())
    assert found.bytes > 24 * 50


@pytest.mark.heavy
def test_every_changed_byte_is_found(shards: Path):
    path = shards / "train-000000.tar"
    content = path.read_bytes()
    for place in range(0, 3000, 37):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        where, offset = place % 512, place // 512 * 512
        padding = not any(content[place : offset + 512]) and where > 0
        assert bool(verify(shards).problems) or padding, place


def test_what_is_wrong_is_named_and_refused_when_it_is_read(shards: Path):
    path = shards / "train-000000.tar"
    content = bytearray(path.read_bytes())
    content[530] ^= 255
    path.write_bytes(content)
    found = verify(shards)
    assert [(one.code, one.files) for one in found.problems] == [("D271", ("train-000000.tar/0.png",))]
    assert found.problems[0].message.startswith("train-000000.tar/0.png: ")
    dataset = open_dataset(Data(classes=("a", "b")), shards)
    with pytest.raises(DataError) as caught:
        read_pair(dataset.samples("train")[0], dataset)
    assert caught.value.code == "D271"


def test_missing_and_cut_tars_are_named_once(shards: Path):
    tars = sorted(shards.glob("*.tar"))
    tars[0].unlink()
    tars[1].write_bytes(tars[1].read_bytes()[:-512])
    found = verify(shards)
    assert sorted(name for one in found.problems for name in one.files) == [tars[0].name, tars[1].name]
    assert {one.code for one in found.problems} == {"D271"}


def test_tars_in_the_place_of_others_are_found(shards: Path):
    one, other = shards / "train-000000.tar", shards / "val-000000.tar"
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert sum(problem.total for problem in verify(shards).problems) > 0


def test_only_shards_are_verified(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        verify(tmp_path)
    assert caught.value.code == "D222"


@pytest.mark.heavy
def test_files_in_several_splits_are_compared_once(tmp_path: Path):
    root = write_miniature("camvid", tmp_path / "data")
    shard(root, tmp_path / "shards", ["data.dataset=camvid"])
    index = open_shards(tmp_path / "shards").index
    found = verify(tmp_path / "shards")
    assert found.images < len(index.keys)
    assert found.images == len(set(index.files[0].names.to_pylist()))
    assert found.problems == ()
