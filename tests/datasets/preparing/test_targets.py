import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing import targets
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.preparing.verifying import verify
from pixelwise.datasets.shards import layout
from pixelwise.errors import DataError, ResourceError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.remote import RemoteStore

pytest.importorskip("obstore")
ADDRESS = "s3://bucket/photos"
IDS = np.array([[0, 1, 1], [2, 0, 255]], np.uint8)
FILES = ["dataset.toml", "index.parquet", "train-000000.tar", "train-000001.tar", "train-000002.tar", "val-000000.tar"]


class Bucket(RemoteStore):
    """A store in memory that notes what is sent, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__("memory:///")
        self.sent: list[str] = []
        self.failing = ""

    def send(self, name: str, file: Path, sha256: str) -> bool:
        if name == self.failing:
            raise OSError(errno.EIO, "the store does not answer as expected")
        sent = super().send(name, file, sha256)
        self.sent += [name] * sent
        return sent

    def contents(self) -> dict[str, bytes]:
        return {name: self.read(name, 0, self.size(name)) for name in self.names("")}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    store = Bucket()
    for module, opens in ((targets, "writable_store"), (layout, "remote_store")):
        monkeypatch.setattr(module, opens, lambda address: store)
    return store


@pytest.fixture
def root(make_folder: Callable[..., Path]) -> Path:
    root = make_folder({f"train/{name}": IDS for name in "abc"} | {"val/d": IDS.copy()})
    (root / "dataset.toml").write_text('classes = ["ground", "box", "ball"]\n', "utf-8")
    return root


def code_of(call: Callable[[], object], said: str) -> str:
    with pytest.raises((DataError, ResourceError), match=said) as caught:
        call()
    return caught.value.code


def test_an_address_gets_the_files_of_a_folder_and_the_index_last(root: Path, bucket: Bucket, tmp_path: Path):
    local = shard(root, tmp_path / "shards", size="1kB")
    done = shard(root, ADDRESS, size="1kB")
    assert (done.root, done.pairs, done.shards, done.bytes) == (place_of(ADDRESS), local.pairs, 4, local.bytes)
    assert bucket.contents() == {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    assert list(bucket.contents()) == FILES
    assert bucket.sent == [*FILES[2:], "dataset.toml", "index.parquet"]
    assert verify(ADDRESS).files == 8
    assert len(open_dataset(Data(), place_of(ADDRESS)).samples("train")) == 3


def test_what_was_sent_before_an_error_is_kept_and_is_no_data_set(root: Path, bucket: Bucket, tmp_path: Path):
    image = root / "images/train/a.png"
    content = image.read_bytes()
    image.write_bytes(b"damaged")
    assert code_of(lambda: shard(root, ADDRESS, size="1kB"), r"a\.png") == "D102"
    assert bucket.names("") == []
    image.write_bytes(content)
    bucket.failing = "train-000002.tar"
    assert code_of(lambda: shard(root, ADDRESS, size="1kB"), "does not answer as expected") == "S611"
    assert bucket.sent == ["train-000000.tar", "train-000001.tar"]
    assert code_of(lambda: verify(ADDRESS), "not finished") == "D222"
    bucket.failing, bucket.sent = "", []
    shard(root, ADDRESS, size="1kB")
    assert bucket.sent == ["train-000002.tar", "val-000000.tar", "dataset.toml", "index.parquet"]
    shard(root, tmp_path / "shards", size="1kB")
    assert bucket.contents() == {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()}


def test_tars_of_files_that_changed_are_sent_again_and_those_too_many_are_removed(
    root: Path, bucket: Bucket, make_folder: Callable[..., Path]
):
    bucket.failing = "val-000000.tar"
    assert code_of(lambda: shard(root, ADDRESS, size="1kB"), "does not answer") == "S611"
    os.replace(root / "masks/train/c.png", root / "masks/train/b.png")
    os.replace(root / "images/train/c.png", root / "images/train/b.png")
    bucket.failing, bucket.sent = "", []
    shard(root, ADDRESS, size="1kB")
    assert bucket.names("") == [name for name in FILES if name != "train-000002.tar"]
    assert verify(ADDRESS).problems == ()


def test_what_is_there_is_left_alone(root: Path, bucket: Bucket):
    bucket.put("cat.jpg", b"")
    assert code_of(lambda: shard(root, ADDRESS), r"not empty: cat\.jpg") == "D225"
    assert bucket.names("") == ["cat.jpg"]
    bucket.remove("cat.jpg")
    bucket.failing = "index.parquet"
    assert code_of(lambda: shard(root, ADDRESS), "does not answer") == "S611"
    before = bucket.contents()
    assert code_of(lambda: shard(root, ADDRESS, size="1kB"), "other options, that are not finished") == "D225"
    assert bucket.contents() == before
    bucket.failing = ""
    shard(root, ADDRESS)
    bucket.put("unfinished.json", b"left by a kill")
    assert code_of(lambda: shard(root, ADDRESS), "holds shards already") == "D225"
    assert "unfinished.json" not in bucket.names("")
