"""The cells of Parquet and Arrow files as files of a store: the bytes of an image or a mask by column and row.

A cell of a Parquet file is read with those of its row group, which are kept for whoever asks next. The files that
Hugging Face `datasets` saves are Arrow streams without compression, which are mapped into memory.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np

from pixelwise.datasets.shards.packages import parquet
from pixelwise.storage.stores.store import FolderStore, Store, require_memory
from pixelwise.storage.stores.streams import StoreFile, buffered

LARGEST = 512 * 1024**2
"""Bytes of decompressed row groups that a process keeps; the one that was read last is always among them."""
_SEPARATOR = "\0"


def column_name(file: str, column: str) -> str:
    """The name under which a `CellStore` has a column, such as `image.bytes`, of a file."""
    return f"{file}{_SEPARATOR}{column}"


class CellStore:
    """The columns of tables of a store, whose positions count rows; see `pixelwise.storage.stores.store.Store`.

    Args:
        store: The store of the files.
        kind: What they are: `parquet` or `arrow`.
    """

    by_bytes = False

    def __init__(self, store: Store, kind: str) -> None:
        self.store, self.kind = store, kind
        self.far = store.far
        self._lock = threading.Lock()
        self._files: dict[str, _Parquet | _Arrow] = {}
        self._loading: dict[tuple[str, int], threading.Lock] = {}
        self._kept: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def __reduce__(self) -> tuple[type, tuple[Store, str]]:
        return CellStore, (self.store, self.kind)

    def size(self, name: str) -> int:
        """Number of rows of a column.

        Raises:
            OSError: There is no such file, or it cannot be read.
        """
        return self.file(name.partition(_SEPARATOR)[0]).rows

    def read(self, name: str, offset: int, size: int) -> bytes:
        """The bytes of the cell in row `offset`; empty if the cell is. `size` is 1.

        Raises:
            OSError: There is no such file, column or row, or it cannot be read.
            MemoryError: There is less memory than its row group needs.
        """
        file, _, column = name.partition(_SEPARATOR)
        table = self.file(file)
        group = table.group_of(offset)
        key = (name, group)
        with self._lock:
            lock = self._loading.setdefault(key, threading.Lock())
        # Of several threads that need a row group, one reads it.
        with lock:
            with self._lock:
                cells = self._kept.get(key)
            if cells is None:
                cells = table.cells(column, group)
            self._keep(key, cells)
        content = cells[offset - table.starts[group]].as_py()
        return content if isinstance(content, bytes) else b""

    def read_marked(self, name: str, offset: int, size: int) -> tuple[bytes, str]:
        """See `Store.read_marked`; cells are read whole."""
        return self.read(name, offset, size), ""

    def file(self, name: str) -> _Parquet | _Arrow:
        """An opened file, of which only the description is read.

        Raises:
            OSError: There is no such file, or it is damaged.
        """
        with self._lock:
            found = self._files.get(name)
        if found is None:
            with _damage_named("it"):
                found = _Parquet(self.store, name) if self.kind == "parquet" else _Arrow(self.store, name)
            with self._lock:
                found = self._files.setdefault(name, found)
        return found

    def empty_rows(self, file: str, column: str) -> set[int]:
        """The rows in which a column is empty; row groups are read only if the file says that some are.

        Raises:
            OSError: The file cannot be read.
        """
        table, found = self.file(file), set()
        for group, (start, end) in enumerate(zip(table.starts, table.starts[1:], strict=False)):
            number = table.empty(column, group)
            if number == end - start:
                found.update(range(start, end))
            elif number:
                found.update(start + row for row, one in enumerate(table.cells(column, group)) if not one.is_valid)
        return found

    def texts(self, file: str, column: str) -> list[str]:
        """The cells of a column as texts, empty where they are.

        Raises:
            OSError: The file cannot be read.
        """
        table = self.file(file)
        groups = range(len(table.starts) - 1)
        cells = (one.as_py() for group in groups for one in table.cells(column, group))
        return ["" if one is None else str(one) for one in cells]

    def _keep(self, key: tuple[str, int], cells: Any) -> None:
        with self._lock:
            self._loading.pop(key, None)
            self._kept[key] = cells
            self._kept.move_to_end(key)
            # Those of Arrow files are mapped, not held.
            while self.kind == "parquet" and len(self._kept) > 1 and self._held() > LARGEST:
                self._kept.popitem(last=False)

    def _held(self) -> int:
        return sum(cells.nbytes for cells in self._kept.values())


@contextlib.contextmanager
def _damage_named(what: str) -> Iterator[None]:
    """Context in which whatever pyarrow raises becomes an error of the system.

    Raises:
        OSError: The content cannot be read, or is no table.
        MemoryError: There is not enough memory for it.
    """
    try:
        yield
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # damaged files raise exceptions of many types, errors of the system without a number too
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise OSError(errno.EIO, f"{what} is damaged: {str(error).strip()}") from error


class _Parquet:
    """A Parquet file: its schema, number of rows, and the first row of each row group."""

    def __init__(self, store: Store, name: str) -> None:
        _, self._parquet, _ = parquet()
        self._store, self._name = store, name
        stream = buffered(store, name)
        self._size = stream.seek(0, 2)
        self._metadata = self._parquet.read_metadata(stream)
        self.schema = self._metadata.schema.to_arrow_schema()
        self.rows = self._metadata.num_rows
        groups = [self._metadata.row_group(place).num_rows for place in range(self._metadata.num_row_groups)]
        self.starts = [0, *np.cumsum(groups).tolist()]

    def group_of(self, row: int) -> int:
        if not 0 <= row < self.starts[-1]:
            raise OSError(errno.EINVAL, "the file has no such row")
        return int(np.searchsorted(self.starts, row, "right")) - 1

    def cells(self, column: str, group: int) -> Any:
        """The cells of a column in a row group, as an Arrow array."""
        chunk = self._chunk(column, group)
        require_memory(chunk.total_uncompressed_size)
        source = StoreFile(self._store, self._name, self._size)
        with (
            _damage_named(f"its row group {group}"),
            self._parquet.ParquetFile(source, metadata=self._metadata) as file,
        ):
            return _leaf(file.read_row_group(group, columns=[column], use_threads=False).column(0), column)

    def empty(self, column: str, group: int) -> int | None:
        """Number of empty cells of a column in a row group, without reading it; None if the file does not say."""
        statistics = self._chunk(column, group).statistics
        return statistics.null_count if statistics is not None and statistics.has_null_count else None

    def _chunk(self, column: str, group: int) -> Any:
        found = self._metadata.row_group(group)
        for place in range(found.num_columns):
            if found.column(place).path_in_schema == column:
                return found.column(place)
        raise OSError(errno.EINVAL, f"the file has no column {column}")


class _Arrow:
    """An Arrow stream of this machine, mapped into memory; its rows are one group."""

    def __init__(self, store: Store, name: str) -> None:
        arrow, _, _ = parquet()
        if not isinstance(store, FolderStore):
            raise OSError(errno.EINVAL, "Arrow files are read on this machine alone")
        with arrow.memory_map(str(store.folder / name)) as source:
            start = source.read(6)
            source.seek(0)
            opened = arrow.ipc.open_file(source) if start == b"ARROW1" else arrow.ipc.open_stream(source)
            self._table = opened.read_all()
        self.schema = self._table.schema
        self.rows = self._table.num_rows
        self.starts = [0, self.rows]

    def group_of(self, row: int) -> int:
        if not 0 <= row < self.rows:
            raise OSError(errno.EINVAL, "the file has no such row")
        return 0

    def cells(self, column: str, group: int) -> Any:
        """The cells of a column, as an Arrow array."""
        name = column.removesuffix(".bytes").removesuffix(".path") if column not in self.schema.names else column
        return _leaf(self._table.column(name), column)

    def empty(self, column: str, group: int) -> int | None:
        """Number of empty cells of a column."""
        return self.cells(column, group).null_count


def _leaf(cells: Any, column: str) -> Any:
    """The binary cells of a column, or those of the field of a struct that the column's name ends in."""
    arrow, _, _ = parquet()
    if not arrow.types.is_struct(cells.type):
        return cells
    field = column.rpartition(".")[2]
    parts = [chunk.flatten()[chunk.type.get_field_index(field)] for chunk in cells.chunks]
    return arrow.chunked_array(parts, type=cells.type.field(field).type)
