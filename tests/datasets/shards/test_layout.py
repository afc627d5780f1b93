import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.shards.layout import is_sharded, open_shards, sharded_layout
from pixelwise.errors import DataError

MASK = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)


@pytest.fixture
def root(make_folder: Callable[..., Path]) -> Path:
    return make_folder({f"{number:02}": MASK for number in range(8)})


def test_the_layout_is_that_of_the_original(root: Path, tmp_path: Path):
    shard(root, tmp_path / "shards")
    layout = sharded_layout(tmp_path / "shards")
    assert (layout.name, layout.root) == ("folder", tmp_path / "shards")
    assert isinstance(layout.splits, Divided)
    assert "divided" not in layout.description
    assert layout.in_words == "images/ with masks/, in 2 shards, divided into val 2 of 8 by file name"
    assert {split: len(samples) for split, samples in layout.splits.items()} == {"train": 6, "val": 2}


def test_opening_looks_at_the_index_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shard(root, tmp_path / "shards", size="2kB")
    for tar in (tmp_path / "shards").glob("*.tar"):
        tar.unlink()
    calls = []
    stat, scandir = os.stat, os.scandir
    monkeypatch.setattr(os, "stat", lambda path, **options: calls.append(path) or stat(path, **options))
    monkeypatch.setattr(os, "scandir", lambda path=".": calls.append(path) or scandir(path))
    samples = sharded_layout(tmp_path / "shards").splits["train"]
    assert [sample.id for sample in samples][:2] == ["01", "02"] or len(samples) == 6
    assert not [path for path in calls if ".tar" in os.fspath(path)]


def test_folders_without_an_index_are_not_sharded(root: Path, tmp_path: Path):
    assert not is_sharded(root)
    (tmp_path / "index.parquet").mkdir()
    assert not is_sharded(tmp_path)


def test_a_damaged_index_is_named(root: Path, tmp_path: Path):
    shard(root, tmp_path / "shards")
    path = tmp_path / "shards/index.parquet"
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"index\.parquet") as caught:
        open_shards(tmp_path / "shards")
    assert caught.value.code == "D270"
