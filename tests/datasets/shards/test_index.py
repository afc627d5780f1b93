import contextlib
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pixelwise.datasets.shards.facts import FACTS_KEY, Facts, Shard, mask_roles
from pixelwise.datasets.shards.index import IndexWriter, Placed, Row, holds_index, pixel_counts, read_index
from pixelwise.errors import DataError, RecipeError

FACTS = Facts(
    format="folder",
    description="by hand",
    masks=("mask",),
    number_of_classes=2,
    shards=(Shard("train-000000.tar", 10_000), Shard("val-000000.tar", 5_000)),
)


def placed(name: str, offset: int, size: int) -> Placed:
    return Placed(name, offset, size, hashlib.sha256(name.encode()).digest())


ROWS = [
    Row("train", "a/1", 0, (placed("a/1.jpg", 512, 100), placed("a/1.mask.png", 1536, 7)), (3, 4), (5, 6, 1)),
    Row("train", "b", 0, (placed("b.jpg", 3072, 900), None), (0, 0), (0, 0, 0)),
    Row("val", "a/1", 1, (placed("a/1.jpg", 512, 4488), placed("a/1.mask.png", 0, 0)), (2, 2), (0, 4, 0)),
]


def written(path: Path, rows: list[Row] = ROWS, facts: Facts = FACTS) -> Path:
    writer = IndexWriter(path, facts.masks, facts.number_of_classes)
    for row in rows:
        writer.add(row)
    writer.close(facts)
    return path


def test_an_index_reads_as_it_was_written(tmp_path: Path):
    path = written(tmp_path / "index.parquet")
    index = read_index(path)
    assert holds_index(path)
    assert index.facts == FACTS
    assert index.splits == {"train": range(0, 2), "val": range(2, 3)}
    assert index.keys.to_pylist() == ["a/1", "b", "a/1"]
    assert index.shards.tolist() == [0, 0, 1]
    for row, one in enumerate(ROWS):
        for files, expected in zip(index.files, one.files, strict=True):
            found = Placed(
                files.names[row].as_py(), int(files.offsets[row]), int(files.sizes[row]), files.sha256[row].tobytes()
            )
            assert found == (expected or Placed("", -1, 0, bytes(32)))
    assert pixel_counts(path, FACTS).tolist() == [list(one.pixels) for one in ROWS]


def test_others_read_the_index_with_pyarrow_alone(tmp_path: Path):
    table = pq.read_table(written(tmp_path / "index.parquet"))
    assert table.column_names == [
        "split", "key", "shard", "image", "image_offset", "image_size", "image_sha256", "mask", "mask_offset",
        "mask_size", "mask_sha256", "height", "width", "pixels_0", "pixels_1", "pixels_ignored",
    ]  # fmt: skip
    assert table["image_sha256"][0].as_py() == hashlib.sha256(b"a/1.jpg").digest()
    facts = msgspec.json.decode(table.schema.metadata[FACTS_KEY])
    assert facts["shards"] == [["train-000000.tar", 10000], ["val-000000.tar", 5000]]


def test_more_rows_than_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelwise.datasets.shards.index._ROWS_TOGETHER", 4)
    rows = [ROWS[0]._replace(key=f"{number:03}") for number in range(10)]
    index = read_index(written(tmp_path / "index.parquet", rows))
    assert index.keys.to_pylist() == [row.key for row in rows]
    assert index.files[0].sha256.tolist() == [rows[0].files[0].sha256] * 10  # type: ignore[union-attr]
    assert index.splits == {"train": range(10)}


def test_an_index_without_rows_has_no_splits(tmp_path: Path):
    assert read_index(written(tmp_path / "index.parquet", [])).splits == {}


def test_multilabel_data_has_the_columns_of_every_class(tmp_path: Path):
    roles = mask_roles(2)
    assert roles == ("mask_0", "mask_1", "mask_ignored")
    facts = msgspec.structs.replace(FACTS, masks=roles, multilabel=True)
    row = ROWS[0]._replace(files=(placed("a.jpg", 0, 1), None, placed("a.mask.1.png", 1, 1), None))
    index = read_index(written(tmp_path / "index.parquet", [row], facts))
    assert [int(files.offsets[0]) for files in index.files] == [0, -1, 1, -1]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROWS[0]._replace(shard=2), "tar that there is not"),
        (ROWS[0]._replace(shard=-1), "tar that there is not"),
        (ROWS[0]._replace(files=(placed("a.jpg", 9_950, 100), None)), "outside of its tar"),
        (ROWS[0]._replace(files=(placed("a.jpg", 2**63 - 1, 2**63 - 1), None)), "outside of its tar"),
        (ROWS[0]._replace(files=(placed("a.jpg", -2, 1), None)), "outside of its tar"),
        (ROWS[0]._replace(files=(placed("a.jpg", 0, -1), None)), "outside of its tar"),
        (ROWS[0]._replace(files=(placed("a.jpg", -1, 0), None)), "outside of its tar"),
        (ROWS[0]._replace(files=(placed("../a.jpg", 0, 1), None)), "leads elsewhere"),
        (ROWS[0]._replace(files=(placed("/etc/passwd", 0, 1), None)), "leads elsewhere"),
        (ROWS[0]._replace(files=(placed("a\\b.jpg", 0, 1), None)), "leads elsewhere"),
        (ROWS[0]._replace(files=(placed("", 0, 1), None)), "empty"),
        (ROWS[0]._replace(files=(placed("a" * 5000, 0, 1), None)), "more than 4096"),
        (ROWS[0]._replace(key="../../a"), "leads elsewhere"),
        (ROWS[0]._replace(key="a\x1b[2J"), "leads elsewhere"),
        (ROWS[0]._replace(key=""), "empty"),
        (ROWS[0]._replace(split="../x"), "leads elsewhere"),
        (ROWS[1]._replace(key="a/1"), "same key"),
    ],
)
def test_rows_that_lead_elsewhere_are_refused(tmp_path: Path, row: Row, said: str):
    rows = [ROWS[1]._replace(key="a/1"), row] if said == "same key" else [row]
    with pytest.raises(DataError, match=said) as caught:
        read_index(written(tmp_path / "index.parquet", rows))
    assert caught.value.code == "D270"


def test_the_rows_of_a_split_follow_each_other(tmp_path: Path):
    with pytest.raises(DataError, match="do not follow") as caught:
        read_index(written(tmp_path / "index.parquet", [ROWS[0], ROWS[2], ROWS[1]]))
    assert caught.value.code == "D270"


@pytest.mark.parametrize(
    "changed",
    [
        {"shards": (Shard("../train.tar", 10_000),)},
        {"shards": (Shard("/etc/passwd", 10_000),)},
        {"shards": (Shard("index.parquet", 10_000),)},
        {"shards": (Shard("a.tar", 1), Shard("a.tar", 1))},
        {"shards": (Shard("a.tar", -1),)},
        {"masks": ("other",)},
        {"masks": ("mask", "mask")},
        {"divisions": {"fold": {"train": "elsewhere"}}},
        {"version": 2},
    ],
)
def test_facts_that_cannot_be_are_refused(tmp_path: Path, changed: dict[str, Any]):
    path = written(tmp_path / "index.parquet")
    facts = msgspec.structs.replace(FACTS, **changed)
    table = pq.read_table(path).replace_schema_metadata({FACTS_KEY: msgspec.json.encode(facts)})
    pq.write_table(table, path, use_dictionary=False, compression="none")
    with pytest.raises(DataError) as caught:
        read_index(path)
    assert caught.value.code == "D270"
    assert ("later version" in caught.value.message) == ("version" in changed)


def rewritten(path: Path, table: pa.Table, **options: Any) -> Path:
    facts = msgspec.json.encode(FACTS)
    pq.write_table(table.replace_schema_metadata({FACTS_KEY: facts}), path, **options)
    return path


@pytest.mark.heavy
def test_an_index_that_unpacks_to_much_more_is_refused(tmp_path: Path):
    table = pq.read_table(written(tmp_path / "index.parquet", [ROWS[0]]))
    many = pa.concat_tables([table] * 20_000)
    keys = pa.array([f"{n:05}" + 4000 * "x" for n in range(len(many))])
    many = many.set_column(1, table.schema.field("key"), keys)
    for options in ({"compression": "zstd", "use_dictionary": False}, {"compression": "none"}, {"compression": "zstd"}):
        path = rewritten(tmp_path / "bomb.parquet", many, **options)
        with pytest.raises(DataError, match=r"compressed|claims") as caught:
            read_index(path)
        assert caught.value.code == "D270"


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop(["mask_size"]),
        lambda table: table.set_column(2, "shard", pa.array(["0"] * 3)),
        lambda table: table.set_column(2, "shard", pa.array([0, None, 0], pa.int32())),
        lambda table: table.set_column(2, "shard", pa.array([[0], [0], [0]], pa.list_(pa.int32()))),
        lambda table: table.set_column(6, "image_sha256", pa.array([b"short"] * 3)),
    ],
)
def test_other_columns_are_refused(tmp_path: Path, change: Any):
    table = pq.read_table(written(tmp_path / "index.parquet"))
    path = rewritten(tmp_path / "other.parquet", change(table), use_dictionary=False, compression="none")
    with pytest.raises(DataError) as caught:
        read_index(path)
    assert caught.value.code == "D270"


def test_damage_is_named_and_never_a_crash(tmp_path: Path):
    content = written(tmp_path / "index.parquet").read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.parquet"
    for number in range(300):
        damaged = bytearray(content)
        if number % 3 == 0:
            del damaged[int(random.integers(len(content))) :]
        else:
            for place in random.integers(0, len(content), 1 + number % 5):
                damaged[place] = int(random.integers(256))
        path.write_bytes(damaged)
        holds_index(path)
        with contextlib.suppress(DataError):
            read_index(path)


def test_other_files_are_no_index(tmp_path: Path):
    pq.write_table(pa.table({"image": [b"bytes"]}), tmp_path / "other.parquet")
    (tmp_path / "short").write_bytes(b"PAR1")
    for name in ("other.parquet", "short", "missing"):
        assert not holds_index(tmp_path / name)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert not holds_index(tmp_path / "pipe")  # and nobody waits for its writer
    with pytest.raises(DataError, match="not the index"):
        read_index(tmp_path / "other.parquet")


def test_without_pyarrow_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = written(tmp_path / "index.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert holds_index(path)
    with pytest.raises(RecipeError, match="pyarrow") as caught:
        read_index(path)
    assert caught.value.code == "R240"
    assert "pixelwise[shards]" in caught.value.help
