import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pixelwise.datasets import fingerprint as module
from pixelwise.datasets.fingerprint import HashCache, fingerprint, stat_signature
from pixelwise.datasets.labels import table_of
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.samples import Dataset
from pixelwise.recipes.schema.recipe import Data
from pixelwise.storage import sha256_bytes

MASK = np.array([[0, 1], [2, 255]], np.uint8)


@pytest.fixture
def dataset(make_folder: Callable[..., Path]) -> Dataset:
    root = make_folder({"train/a": MASK, "train/b": MASK, "val/c": MASK})
    for path in root.rglob("*.png"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return open_dataset(Data(), root)


def flip_a_byte(path: Path) -> None:
    """Damage a file without touching its size or its modification time."""
    facts = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_the_same_content_elsewhere_has_the_same_fingerprint(dataset: Dataset, tmp_path: Path):
    import shutil

    shutil.copytree(dataset.root, tmp_path / "copy")
    assert fingerprint(open_dataset(Data(), tmp_path / "copy")) == fingerprint(dataset)


def test_every_part_of_the_data_changes_the_fingerprint(dataset: Dataset):
    before = fingerprint(dataset)
    changed = [
        msgspec.structs.replace(dataset, classes=("x", "y", "z")),
        msgspec.structs.replace(dataset, label_table=table_of({0: 1, 1: 0, 2: 2})),
        msgspec.structs.replace(dataset, splits={**dataset.splits, "val": ()}),
        msgspec.structs.replace(dataset, reading=msgspec.structs.replace(dataset.reading, exif="ignore")),
    ]
    prints = [fingerprint(one) for one in changed]
    assert len({before, *prints}) == 5


def test_a_changed_file_changes_the_fingerprint(dataset: Dataset):
    before = fingerprint(dataset)
    path = dataset.samples("val")[0].image_path
    path.write_bytes(path.read_bytes() + b"\0")
    assert fingerprint(dataset) != before


def test_a_file_that_cannot_be_read_changes_the_fingerprint_instead_of_ending_it(dataset: Dataset):
    before = fingerprint(dataset)
    dataset.samples("val")[0].image_path.unlink()
    assert fingerprint(dataset) not in (before, fingerprint(dataset, ["train"]))


def test_splits_have_fingerprints_of_their_own(dataset: Dataset):
    assert fingerprint(dataset, ["train"]) != fingerprint(dataset, ["val"])
    assert fingerprint(dataset, ["val", "train"]) == fingerprint(dataset, ["train", "val"]) == fingerprint(dataset)


def test_known_files_are_not_read_again(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    before = fingerprint(dataset)
    monkeypatch.setattr(module, "sha256_file", None)
    assert fingerprint(dataset) == before


def test_damage_behind_an_unchanged_time_stamp_is_seen_by_a_fresh_look_only(dataset: Dataset):
    before = fingerprint(dataset)
    flip_a_byte(dataset.samples("train")[0].image_path)
    assert fingerprint(dataset) == before
    assert fingerprint(dataset, fresh=True) != before


def test_the_cache_names_files_that_changed_behind_their_time_stamp(dataset: Dataset):
    path = dataset.samples("train")[0].image_path
    first = HashCache(dataset.root)
    first.digest(path)
    first.save()
    flip_a_byte(path)
    second = HashCache(dataset.root)
    second.digest(path, fresh=True)
    assert second.changed == [path]


def test_a_file_written_just_now_is_not_remembered(dataset: Dataset):
    path = dataset.samples("train")[0].image_path
    path.touch()
    cache = HashCache(dataset.root)
    cache.digest(path)
    cache.save()
    path.write_bytes(b"x" * path.stat().st_size)
    assert HashCache(dataset.root).digest(path) == sha256_bytes(path.read_bytes())


def test_a_damaged_cache_file_is_ignored(dataset: Dataset, own_cache: Path):
    before = fingerprint(dataset)
    (file,) = (own_cache / "pixelwise").glob("hashes-*.msgpack")
    file.write_bytes(b"\xff\x00damaged")
    assert fingerprint(dataset) == before


def test_the_stat_signature_changes_with_size_time_and_presence(tmp_path: Path):
    path = tmp_path / "a"
    seen = {stat_signature([path])}
    for content, moment in ((b"1", 1000), (b"1", 2000), (b"12", 2000)):
        path.write_bytes(content)
        os.utime(path, (moment, moment))
        seen.add(stat_signature([path]))
    assert len(seen) == 4
