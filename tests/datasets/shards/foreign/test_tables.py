from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from foreign_data import write_parquet

from pixelwise.datasets.shards.foreign.cells import CellStore
from pixelwise.datasets.shards.foreign.containers import find_containers
from pixelwise.datasets.shards.foreign.fields import Fields
from pixelwise.datasets.shards.foreign.tables import TablePictures, pictures_of
from pixelwise.errors import DataError

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema([("image", PICTURE), ("label", PICTURE), ("image_id", pa.int64()), ("kind", pa.string())])


def row(
    path: str | None, image: bytes | None = b"i", mask: bytes | None = b"m", id: int | None = None
) -> dict[str, Any]:
    return {
        "image": None if image is None else {"bytes": image, "path": path},
        "label": None if mask is None else {"bytes": mask, "path": path},
        "image_id": id,
        "kind": "street",
    }


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., TablePictures]:
    def of(*rows: dict[str, Any], schema: pa.Schema = SCHEMA, labelled: bool = True) -> TablePictures:
        half = (len(rows) + 1) // 2
        write_parquet(tmp_path / "train-0.parquet", list(rows[:half]), of=schema)
        write_parquet(tmp_path / "train-1.parquet", list(rows[half:]), of=schema)
        containers = find_containers(tmp_path)
        assert containers is not None
        splits = dict.fromkeys(containers.versions, "train")
        cells = CellStore(containers.store, "parquet")
        return pictures_of(containers, cells, splits, Fields(), labelled=labelled)

    return of


def keys(found: TablePictures) -> list[str]:
    return [one.key for one in found.pictures if not one.is_mask]


def test_paths_name_the_rows(found: Callable[..., TablePictures]):
    read = found(row("b.jpg"), row("c/a.png"), row("/x/d.v2.png"))
    assert keys(read) == ["b", "c/a", "d.v2"]
    assert (read.columns, read.rows) == (("image.bytes", "label.bytes"), {"train-0.parquet": 2, "train-1.parquet": 1})
    assert read.chosen == (("image",), "label")
    assert read.named_by == "the paths of the images"
    assert [(one.container, one.placed.offset, one.placed.name) for one in read.pictures][:3] == [
        ("train-0.parquet", 0, "b.jpg"), ("train-0.parquet", 1, "c/a.png"), ("train-0.parquet", 0, "b.label"),
    ]  # fmt: skip


def test_a_column_of_ids_names_them_otherwise(found: Callable[..., TablePictures]):
    read = found(row(None, id=7), row(None, id=3), row(None, id=12))
    assert (keys(read), read.named_by) == (["7", "3", "12"], "the column image_id")


def test_positions_name_them_where_nothing_else_does(found: Callable[..., TablePictures]):
    read = found(row("a.jpg"), row("a.jpg"), row("b.jpg"))
    assert (keys(read), read.named_by) == (["000000", "000001", "000002"], "the positions of the rows")


def test_empty_cells_are_no_pictures(found: Callable[..., TablePictures]):
    read = found(row("a.jpg"), row("b.jpg", mask=None), row("c.jpg", image=None), row("d.jpg"))
    assert keys(read) == ["a", "b", "d"] or read.named_by == "the positions of the rows"
    assert [(one.container, one.placed.offset) for one in read.pictures if one.is_mask] == [
        ("train-0.parquet", 0), ("train-1.parquet", 0), ("train-1.parquet", 1),
    ]  # fmt: skip


def test_columns_of_plain_bytes(found: Callable[..., TablePictures]):
    schema = pa.schema([("pixel_values", pa.large_binary()), ("annotation", pa.binary()), ("label", pa.int64())])
    rows = [{"pixel_values": b"i", "annotation": b"m", "label": 3}] * 2
    assert found(*rows, schema=schema).columns == ("pixel_values", "annotation")


def test_tables_without_pictures_or_with_others_are_refused(found: Callable[..., TablePictures], tmp_path: Path):
    with pytest.raises(DataError, match="no column with the bytes of images; columns: a") as caught:
        found({"a": 1}, {"a": 2}, schema=pa.schema([("a", pa.int64())]))
    assert caught.value.code == "D273"
    write_parquet(tmp_path / "train-2.parquet", [{"image": b"i"}], of=pa.schema([("image", pa.binary())]))
    with pytest.raises(DataError, match="another column image than") as caught:
        found(row("a.jpg"), row("b.jpg"))
    assert caught.value.code == "D273"
