import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.format import FORMATS
from pixelwise.datasets.opening import open_dataset, open_whole
from pixelwise.datasets.preparing import sharding
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.preparing.verifying import verify
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError, RecipeError, ResourceError
from pixelwise.recipes.schema.recipe import Data
from pixelwise.testing.miniatures import write_miniature

IDS = np.array([[0, 1, 1], [2, 0, 255]], np.uint8)


@pytest.fixture
def root(make_folder: Callable[..., Path]) -> Path:
    """Photos as JPEG files, masks with ids, one name with dots, one image without a mask."""
    root = make_folder({"train/a.b": IDS, "train/deep/b": IDS[::-1], "val/c": IDS.copy()})
    for path in list((root / "images").rglob("*.png")):
        Image.open(path).save(path.with_suffix(".JPG"), "JPEG")
        path.unlink()
    (root / "dataset.toml").write_text('# ours\nclasses = ["ground", "box", "ball"]\n', "utf-8")
    return root


def files_of(sample: Sample) -> tuple[Path, ...]:
    return (sample.image_path, *sample.mask_files)


def equal(one: Dataset, other: Dataset) -> None:
    """Check that two data sets are the same in everything but the place of their files."""
    assert fingerprint(one) == fingerprint(other)
    assert one.naming == other.naming
    for field in ("name", "classes", "palette", "label_table", "multilabel", "label_names", "named", "divided"):
        assert getattr(one, field) == getattr(other, field), field
    assert list(one.splits) == list(other.splits)
    for split, samples in one.splits.items():
        for before, after in zip(samples, other.splits[split], strict=True):
            assert before.id == after.id
            for path, member in zip(files_of(before), files_of(after), strict=True):
                assert member.read_bytes() == path.read_bytes()
            if before.mask_path is not None:
                pairs = zip(read_pair(before, one), read_pair(after, other), strict=True)
                assert all(np.array_equal(*pair) for pair in pairs)


def test_shards_open_like_the_loose_files(root: Path, tmp_path: Path):
    done = shard(root, tmp_path / "shards")
    assert (done.pairs, done.shards, done.classes) == ({"train": 2, "val": 1}, 2, ("ground", "box", "ball"))
    assert done.bytes == sum(path.stat().st_size for path in (tmp_path / "shards").glob("*.tar"))
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        "dataset.toml", "index.parquet", "train-000000.tar", "val-000000.tar",
    ]  # fmt: skip
    assert (tmp_path / "shards/dataset.toml").read_bytes() == (root / "dataset.toml").read_bytes()
    equal(open_dataset(Data(), root), open_dataset(Data(), tmp_path / "shards"))


def test_the_bytes_are_those_of_the_files_by_other_tools(root: Path, tmp_path: Path):
    shard(root, tmp_path / "shards")
    loose = {hashlib.sha256(path.read_bytes()).digest() for path in root.rglob("*.*") if path.suffix != ".toml"}
    table = pq.read_table(tmp_path / "shards/index.parquet").to_pylist()
    names = sorted(path.name for path in (tmp_path / "shards").glob("*.tar"))
    for row in table:
        with tarfile.open(tmp_path / "shards" / names[row["shard"]]) as tar:
            for role in ("image", "mask"):
                info = tar.getmember(row[role])
                file = tar.extractfile(info)
                assert file is not None
                assert (info.offset_data, info.size) == (row[f"{role}_offset"], row[f"{role}_size"])
                assert hashlib.sha256(file.read()).digest() == row[f"{role}_sha256"]
                loose.discard(row[f"{role}_sha256"])
        assert (row["height"], row["width"]) == (2, 3)
        assert [row[f"pixels_{one}"] for one in (0, 1, 2, "ignored")] == [2, 2, 1, 1]
    assert loose == set()
    assert [(row["split"], row["key"], row["image"]) for row in table] == [
        ("train", "a.b", "a_b.jpg"), ("train", "deep/b", "deep/b.jpg"), ("val", "c", "c.jpg"),
    ]  # fmt: skip


def test_the_same_files_give_the_same_bytes(root: Path, tmp_path: Path):
    shutil.copytree(root, tmp_path / "copy")
    shard(root, tmp_path / "one", size="4kB")
    shard(tmp_path / "copy", tmp_path / "other", size="4kB")
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "other" / path.name).read_bytes() == path.read_bytes()


LONG = ("camvid32", "cityscapes")
"""Formats whose miniatures have large images."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.heavy] if name in LONG else [])
        for name, one in FORMATS.all().items()
        if one.miniature is not None
    ],
)
def test_every_format_can_be_put_into_shards(name: str, tmp_path: Path, own_cache: Path):
    root = write_miniature(name, tmp_path / "data")
    data = Data(dataset=name)
    whole, one = open_whole(data, root)
    shard(root, tmp_path / "shards", [f"data.dataset={name}"])
    again, other = open_whole(data, tmp_path / "shards")
    equal(one, other)
    assert list(again.splits) == list(whole.splits)
    assert again.overlapping == whole.overlapping
    assert {train: list(splits) for train, splits in again.divisions.items()} == {
        train: list(splits) for train, splits in whole.divisions.items()
    }
    assert verify(tmp_path / "shards").problems == ()


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("camvid", "drive-train"),
        ("camvid", "train+val"),
        ("voc-aug", "train"),
        pytest.param("cityscapes", "train_extra", marks=pytest.mark.heavy),
    ],
)
def test_alternatives_for_training_are_kept(name: str, split: str, tmp_path: Path, own_cache: Path):
    root = write_miniature(name, tmp_path / "data")
    shard(root, tmp_path / "shards", [f"data.dataset={name}"])
    data = Data(dataset=name, train_split=split)
    equal(open_dataset(data, root), open_dataset(data, tmp_path / "shards"))


def test_multilabel_masks_are_kept_per_class(make_folder: Callable[..., Path], tmp_path: Path):
    root = make_folder({"0": IDS, "1": IDS, "2": IDS, "3": IDS, "4": IDS, "5": IDS})
    shutil.rmtree(root / "masks")
    for number, names in enumerate((["crack"], ["crack", "rust"], ["rust"], ["ignore", "rust"], ["crack"], ["rust"])):
        for name in names:
            (root / "masks" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.where(number % 3 == IDS, 255, 0).astype(np.uint8)).save(
                root / "masks" / name / f"{number}.png"
            )
    shard(root, tmp_path / "shards", ["data.multilabel=true"])
    read = Data(multilabel=True)
    equal(open_dataset(read, root), open_dataset(read, tmp_path / "shards"))
    row = pq.read_table(tmp_path / "shards/index.parquet").to_pylist()[0]
    assert {name for name in row if name.startswith("mask") and "_" not in name[7:]} >= {"mask_0", "mask_1"}


def test_a_jpeg_mask_is_refused_and_nothing_stays(root: Path, tmp_path: Path):
    Image.fromarray(IDS).save(root / "masks/val/c.png", "JPEG")
    with pytest.raises(DataError, match=r"masks/val/c\.png") as caught:
        shard(root, tmp_path / "shards")
    assert caught.value.code == "D203"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_faulty_pair_is_kept_if_its_error_is_allowed(root: Path, tmp_path: Path):
    (root / "images/train/a.b.JPG").write_bytes(b"\xff\xd8\xff damaged")
    with pytest.raises(DataError) as caught:
        shard(root, tmp_path / "shards")
    assert caught.value.code == "D101"
    done = shard(root, tmp_path / "shards", ['data.allow=["D101"]'])
    assert list(done.faulty.values()) == ["D101"]
    data = Data(allow=("D101",))
    one, other = open_dataset(data, root), open_dataset(data, tmp_path / "shards")
    assert fingerprint(one) == fingerprint(other)
    assert audit(one).unusable == audit(other).unusable == {"train": ("a.b",), "val": ()}


def test_an_image_without_a_mask_is_refused_or_kept(root: Path, tmp_path: Path):
    (root / "masks/train/a.b.png").unlink()
    with pytest.raises(DataError) as caught:
        shard(root, tmp_path / "shards")
    assert caught.value.code == "D220"
    done = shard(root, tmp_path / "shards", ['data.allow=["D220"]'])
    assert [problem.code for problem in done.problems] == ["D220"]
    data = Data(allow=("D220",))
    assert fingerprint(open_dataset(data, root)) == fingerprint(open_dataset(data, tmp_path / "shards"))


def test_shards_can_be_put_into_shards_of_another_size(root: Path, tmp_path: Path):
    shard(root, tmp_path / "shards", size="1kB")
    assert shard(tmp_path / "shards", tmp_path / "fewer", size="1MB").shards == 2
    equal(open_dataset(Data(), root), open_dataset(Data(), tmp_path / "fewer"))


def test_an_existing_folder_is_left_alone(root: Path, tmp_path: Path):
    (tmp_path / "shards").mkdir()
    with pytest.raises(DataError) as caught:
        shard(root, tmp_path / "shards")
    assert caught.value.code == "D225"


@pytest.mark.parametrize("size", ["", "0", "many", "-1GB"])
def test_a_size_is_a_number_of_bytes(root: Path, tmp_path: Path, size: str):
    with pytest.raises(RecipeError, match="size") as caught:
        shard(root, tmp_path / "shards", size=size)
    assert caught.value.code == "R260"


def test_a_disk_without_space_is_refused_early(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 5000))  # type: ignore[attr-defined]
    with pytest.raises(ResourceError) as caught:
        shard(root, tmp_path / "shards")
    assert caught.value.code == "S602"
    assert not (tmp_path / "shards").exists()


KILLED = """
import os, sys
from pixelwise.datasets.preparing import sharding
from pixelwise.datasets.shards.tars import TarWriter
add, left = TarWriter.add, [int(sys.argv[3])]
def dying(self, *arguments):
    left[0] -= 1
    if not left[0]:
        os._exit(9)
    return add(self, *arguments)
TarWriter.add = dying
close = sharding.IndexWriter.close
def last(self, facts):
    close(self, facts)
    if left[0] == 1:
        os._exit(9)
sharding.IndexWriter.close = last
sharding.shard(sys.argv[1], sys.argv[2])
"""


@pytest.mark.heavy
@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_kill_leaves_nothing_that_looks_complete(root: Path, tmp_path: Path, at: int):
    command = [sys.executable, "-c", KILLED, str(root), str(tmp_path / "shards"), str(at)]
    assert subprocess.run(command, check=False, env={**os.environ}).returncode == 9
    assert not (tmp_path / "shards").exists()
    assert shard(root, tmp_path / "shards").shards == 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_is_checked_is_what_is_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def swapped(path: Path) -> io.BytesIO:
        content = path.read_bytes()
        path.write_bytes(b"changed after it was read")
        return io.BytesIO(content)

    monkeypatch.setattr(sharding, "open_regular", swapped)
    shard(root, tmp_path / "shards")
    assert verify(tmp_path / "shards").problems == ()
    dataset = open_dataset(Data(), tmp_path / "shards")
    assert read_pair(dataset.samples("val")[0], dataset)[1].tolist() == IDS.tolist()


def test_large_files_are_not_in_memory_together(root: Path, monkeypatch: pytest.MonkeyPatch):
    samples = list(open_whole(Data(), root)[1].samples("train")) * 3
    assert [len(some) for some in sharding._together(samples, 4)] == [4, 2]
    size = sum(path.stat().st_size for path in files_of(samples[0]))
    monkeypatch.setattr(sharding, "_LARGEST_TOGETHER", size // 2)
    assert [len(some) for some in sharding._together(samples, 4)] == [1] * 6
