import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from foreign_data import write_parquet

from pixelwise.datasets.shards.foreign import cells as module
from pixelwise.datasets.shards.foreign.cells import CellStore, column_name
from pixelwise.storage.stores.store import FolderStore

ROWS = [{"image": {"bytes": bytes([number]) * (number + 1), "path": f"{number}"}, "mask": None} for number in range(7)]
ROWS[2]["mask"] = b"m"
SCHEMA = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("mask", pa.large_binary())])
IMAGE = column_name("x.parquet", "image.bytes")


class Counting(FolderStore):
    """A folder that counts the bytes that are read of it."""

    read_bytes = 0

    def read(self, name: str, offset: int, size: int) -> bytes:
        content = super().read(name, offset, size)
        self.read_bytes += len(content)
        return content


@pytest.fixture
def cells(tmp_path: Path) -> CellStore:
    write_parquet(tmp_path / "x.parquet", ROWS, group=3, of=SCHEMA)
    return CellStore(FolderStore(tmp_path), "parquet")


def test_cells_are_read_by_row(cells: CellStore):
    assert cells.size(IMAGE) == 7
    for row in (6, 0, 3, 2, 5):
        assert cells.read(IMAGE, row, 1) == bytes([row]) * (row + 1)
    mask = column_name("x.parquet", "mask")
    assert [cells.read(mask, row, 1) for row in range(4)] == [b"", b"", b"m", b""]


def test_another_process_reads_the_same(cells: CellStore):
    assert pickle.loads(pickle.dumps(cells)).read(IMAGE, 4, 1) == bytes([4]) * 5


def test_names_and_empty_rows_are_known_without_the_pictures(cells: CellStore):
    assert cells.texts("x.parquet", "image.path") == [str(number) for number in range(7)]
    assert cells.empty_rows("x.parquet", "mask") == {0, 1, 3, 4, 5, 6}
    assert cells.empty_rows("x.parquet", "image.bytes") == set()


def test_a_row_needs_its_row_group_alone(tmp_path: Path):
    rows = [{"image": {"bytes": bytes([n]) * 100_000, "path": None}, "mask": b"m"} for n in range(12)]
    write_parquet(tmp_path / "x.parquet", rows, group=3, of=SCHEMA, compression="none", use_dictionary=False)
    store = Counting(tmp_path)
    cells = CellStore(store, "parquet")
    for row in (4, 3, 5):
        assert cells.read(IMAGE, row, 1) == bytes([row]) * 100_000
    assert 300_000 < store.read_bytes < 420_000


def test_a_few_row_groups_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [{"image": {"bytes": bytes(1000), "path": None}, "mask": None} for _ in range(10)]
    write_parquet(tmp_path / "x.parquet", rows, group=1, of=SCHEMA)
    monkeypatch.setattr(module, "LARGEST", 3500)
    store = Counting(tmp_path)
    cells = CellStore(store, "parquet")
    for row in range(10):
        cells.read(IMAGE, row, 1)
    before = store.read_bytes
    for row in (9, 8, 7):
        cells.read(IMAGE, row, 1)
    assert store.read_bytes == before
    cells.read(IMAGE, 0, 1)
    assert store.read_bytes > before


@pytest.mark.parametrize("offset", [-1, 7])
def test_rows_that_there_are_not(cells: CellStore, offset: int):
    with pytest.raises(OSError, match="no such row"):
        cells.read(IMAGE, offset, 1)


def test_damage_is_an_error_of_the_file(tmp_path: Path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(OSError, match="damaged"):
        CellStore(FolderStore(tmp_path), "parquet").size(IMAGE)
    write_parquet(tmp_path / "y.parquet", ROWS, of=SCHEMA)
    content = bytearray((tmp_path / "y.parquet").read_bytes())
    content[4:60] = bytes(56)
    (tmp_path / "y.parquet").write_bytes(content)
    with pytest.raises(OSError, match="damaged"):
        CellStore(FolderStore(tmp_path), "parquet").read(column_name("y.parquet", "image.bytes"), 0, 1)
