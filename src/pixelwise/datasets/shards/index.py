"""The index of a data set in shards: a Parquet file with one row per image, written as the tars are.

An index may come from a stranger, so nothing that it says is believed: names stay within the folder, places within
their tars, and reading it takes no more memory than it has bytes, because its texts and hashes are neither compressed
nor repeated by reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.shards.facts import (
    FACTS_KEY,
    VERSION,
    Facts,
    FileColumns,
    file_columns,
    pixel_columns,
)
from pixelwise.datasets.shards.packages import INSTALL, parquet
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.documents import is_regular
from pixelwise.storage.names import is_plain_name

_ROWS_TOGETHER = 65_536
_HASH_BYTES = 32
_LONGEST_NAME = 4096
_MOST_SPLITS = 10_000
_FOOTER, _LONGEST_FOOTER = 8, 256 * 1024**2
_PLAIN = frozenset(("PLAIN", "RLE", "BIT_PACKED"))
# What no name of a file in a tar may hold: it would lead out of its folder on some system, or hide what it is.
_BAD_NAME = r'[<>:"\\|?*\pC]|^/|//|/$|(^|/)\.\.?(/|$)'
_BAD_ID = r"\pC|^/|(^|/)\.\.(/|$)"
_HELP = "copy the folder again, or make the shards again with `pixelwise data shard`"


class Row(NamedTuple):
    """One image of the index.

    Attributes:
        split: Its split.
        key: Its id, unique within the split.
        shard: Position of its tar in `Facts.shards`.
        files: The place of its image and of each of its masks; None where there is no mask.
        size: (height, width) of the image as it is read; (0, 0) if it cannot be read.
        pixels: Pixels of each class, and ignored ones; all 0 if it has no labels that can be read.
    """

    split: str
    key: str
    shard: int
    files: tuple[Placed | None, ...]
    size: tuple[int, int]
    pixels: tuple[int, ...]


class Placed(NamedTuple):
    """The name of a member of a tar, the position and number of its bytes, and their SHA-256."""

    name: str
    offset: int
    size: int
    sha256: bytes


class IndexWriter:
    """Writes an index row by row; the facts come last, when all tars are known.

    Args:
        path: File to write.
        masks: Stems of the columns of masks; see `Facts.masks`.
        number_of_classes: Number of classes whose pixels are counted.

    Raises:
        RecipeError: R240, pyarrow is not installed.
    """

    def __init__(self, path: Path, masks: Sequence[str], number_of_classes: int) -> None:
        self._arrow, files, _ = parquet()
        self._roles = ("image", *masks)
        self._pixels = pixel_columns(number_of_classes)
        self._schema = _schema(self._arrow, self._roles, self._pixels)
        packed = {
            name: "zstd" if self._arrow.types.is_integer(self._schema.field(name).type) else "none"
            for name in self._schema.names
        }
        # Without Arrow's own copy of the schema, readers find the facts in the metadata of the table.
        self._writer = files.ParquetWriter(
            path, self._schema, compression=packed, use_dictionary=False, write_statistics=False, store_schema=False
        )
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Append a row."""
        self._rows.append(row)
        if len(self._rows) == _ROWS_TOGETHER:
            self._write()

    def close(self, facts: Facts) -> None:
        """Write what is left, and the facts."""
        self._write()
        self._writer.add_key_value_metadata({FACTS_KEY: msgspec.json.encode(facts)})
        self._writer.close()

    def abandon(self) -> None:
        """Close the file, which stays incomplete."""
        self._writer.close()

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        columns: dict[str, list[Any]] = {
            "split": [row.split for row in rows],
            "key": [row.key for row in rows],
            "shard": [row.shard for row in rows],
            "height": [row.size[0] for row in rows],
            "width": [row.size[1] for row in rows],
        }
        missing = Placed("", -1, 0, bytes(_HASH_BYTES))
        for position, role in enumerate(self._roles):
            placed = [row.files[position] or missing for row in rows]
            for field, name in enumerate(file_columns(role)):
                columns[name] = [one[field] for one in placed]
        for position, name in enumerate(self._pixels):
            columns[name] = [row.pixels[position] for row in rows]
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))


def _schema(arrow: Any, roles: Sequence[str], pixels: Sequence[str]) -> Any:
    kinds = {"split": arrow.string(), "key": arrow.string(), "shard": arrow.int32()}
    for role in roles:
        name, offset, size, sha256 = file_columns(role)
        kinds |= {name: arrow.string(), offset: arrow.int64(), size: arrow.int64(), sha256: arrow.binary(_HASH_BYTES)}
    kinds |= {"height": arrow.int32(), "width": arrow.int32(), **dict.fromkeys(pixels, arrow.int64())}
    return arrow.schema([arrow.field(name, kind, nullable=False) for name, kind in kinds.items()])


class Files(NamedTuple):
    """The files of one role, one per row: `Placed` by columns.

    Attributes:
        names: Arrow array of texts.
        offsets: int64.
        sizes: int64.
        sha256: 32 bytes each (`V32`).
    """

    names: Any
    offsets: np.ndarray
    sizes: np.ndarray
    sha256: np.ndarray


class Index(NamedTuple):
    """An index that was read and found to be right in itself; the tars were not looked at.

    Attributes:
        facts: What it says about the data set as a whole.
        splits: Value of the column `split` -> its rows, which follow each other.
        keys: Arrow array of the ids.
        shards: int32 (N,): position of each row's tar in `Facts.shards`.
        files: The files of the images, then those of each of `Facts.masks`.
    """

    facts: Facts
    splits: dict[str, range]
    keys: Any
    shards: np.ndarray
    files: tuple[Files, ...]


def holds_index(path: Path) -> bool:
    """Whether a file is an index of ours, by its last bytes; pyarrow need not be installed."""
    if not is_regular(path):
        return False
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _FOOTER))
            length, mark = int.from_bytes(stream.read(4), "little"), stream.read(4)
            if mark != b"PAR1" or not 0 < length <= min(size - _FOOTER, _LONGEST_FOOTER):
                return False
            stream.seek(size - _FOOTER - length)
            return FACTS_KEY in stream.read(length)
    except OSError:
        return False


def read_index(path: Path, shown: Path | None = None) -> Index:
    """Read an index.

    Args:
        path: The file.
        shown: What messages call it; None for its path.

    Raises:
        DataError: D270, it is damaged, contradicts itself, or was written by a later version.
        RecipeError: R240, pyarrow is not installed.
    """
    arrow, files, compute = parquet()
    size, path, source = path.stat().st_size, shown or path, path
    try:
        with files.ParquetFile(source) as opened:
            facts = _facts(path, opened.metadata)
            names = _columns(facts)
            _refuse_expansion(path, size, opened, names)
            table = opened.read(columns=names).combine_chunks()
            table.validate(full=True)  # texts that are not UTF-8
    except DataError:
        raise
    except Exception as error:  # damaged files raise exceptions of many types
        raise _damaged(path, f"it cannot be read: {error}") from error
    problem = _wrong_columns(arrow, table, facts)
    if problem:
        raise _damaged(path, problem)
    index = _index(arrow, table, facts)
    problem = _wrong_names(compute, table, facts) or _wrong_places(index) or _wrong_splits(compute, table, facts)
    if problem:
        raise _damaged(path, problem)
    splits = _runs(table, compute)
    del table
    arrow.default_memory_pool().release_unused()
    return index._replace(splits=splits)


def pixel_counts(path: Path, facts: Facts) -> np.ndarray:
    """The pixels of each class and the ignored ones by row of an index that `read_index` accepts: int64 (N, K + 1).

    Raises:
        DataError: D270, the columns cannot be read.
        RecipeError: R240, pyarrow is not installed.
    """
    _, files, _ = parquet()
    names = list(pixel_columns(facts.number_of_classes))
    try:
        table = files.read_table(path, columns=names)
        return np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.int64)
    except Exception as error:  # damaged files raise exceptions of many types
        raise _damaged(path, f"its counts of pixels cannot be read: {error}") from error


def _facts(path: Path, metadata: Any) -> Facts:
    content = (metadata.metadata or {}).get(FACTS_KEY)
    if content is None:
        raise _damaged(path, "it is not the index of a data set")
    plain = msgspec.json.decode(content)
    version = plain.get("version") if isinstance(plain, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise DataError(
            "D270",
            f"{printable(path)}: written by a later version of Pixelwise (format {version}; this one reads {VERSION})",
            f"update Pixelwise: {INSTALL.replace('install', 'install -U', 1)}",
        )
    facts = msgspec.convert(plain, Facts, str_keys=True)
    names = [shard.name for shard in facts.shards]
    if not all(_is_name(name, facts) for name in names):
        raise _damaged(path, "the name of a tar leads out of the folder, or is not one")
    if len(set(names)) < len(names) or any(shard.size < 0 for shard in facts.shards):
        raise _damaged(path, "two tars have the same name, or one a negative size")
    return facts


def _is_name(name: str, facts: Facts) -> bool:
    """Whether a name is that of a tar in the folder; the tars and tables of other programs may lie deeper."""
    parts = (name,) if facts.exact else name.split("/")
    return all(map(is_plain_name, parts)) and name.isprintable() and (not facts.exact or name.endswith(".tar"))


def _columns(facts: Facts) -> list[str]:
    return ["split", "key", "shard", *(name for role in ("image", *facts.masks) for name in file_columns(role))]


def _refuse_expansion(path: Path, size: int, opened: Any, names: Sequence[str]) -> None:
    """Refuse an index that could take more memory than its `size` in bytes."""
    metadata = opened.metadata
    if metadata.num_rows * _HASH_BYTES > size:
        raise _damaged(path, f"it claims {metadata.num_rows} rows, for which {size} bytes are too few")
    if len(set(names)) < len(names):
        raise _damaged(path, "two of its columns have the same name")
    kinds = {column.path: column.physical_type for column in opened.schema}
    for group in range(metadata.num_row_groups):
        found = metadata.row_group(group)
        for position in range(found.num_columns):
            column = found.column(position)
            if column.path_in_schema not in names:
                continue
            packed = kinds[column.path_in_schema] in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
            if (packed and column.compression != "UNCOMPRESSED") or not set(column.encodings) <= _PLAIN:
                raise _damaged(path, f"its column {printable(column.path_in_schema)} is compressed")
            if column.num_values > metadata.num_rows:
                raise _damaged(path, f"its column {printable(column.path_in_schema)} holds several values per row")


def _wrong_columns(arrow: Any, table: Any, facts: Facts) -> str:
    wanted = _schema(arrow, ("image", *facts.masks), ())
    for name in _columns(facts):
        if name not in table.column_names:
            return f"it has no column {name}"
        if table.schema.field(name).type != wanted.field(name).type:
            return f"its column {name} holds {table.schema.field(name).type} instead of {wanted.field(name).type}"
        if table[name].null_count:
            return f"its column {name} has gaps"
    return ""


def _index(arrow: Any, table: Any, facts: Facts) -> Index:
    def texts(name: str) -> Any:
        # Offsets of 32 bits reach two gigabytes of text only.
        return arrow.concat_arrays(
            table[name].cast(arrow.large_string()).chunks or [arrow.array([], arrow.large_string())]
        )

    def files_of(columns: FileColumns) -> Files:
        chunks = table[columns.sha256].chunks
        hashes = [np.frombuffer(one.buffers()[1], f"V{_HASH_BYTES}")[one.offset :][: len(one)] for one in chunks]
        return Files(
            texts(columns.name),
            table[columns.offset].to_numpy(),
            table[columns.size].to_numpy(),
            np.concatenate(hashes) if hashes else np.zeros(0, f"V{_HASH_BYTES}"),
        )

    files = tuple(files_of(file_columns(role)) for role in ("image", *facts.masks))
    return Index(facts, {}, texts("key"), table["shard"].to_numpy(), files)


def _wrong_names(compute: Any, table: Any, facts: Facts) -> str:
    checked: Mapping[str, str] = {
        "split": _BAD_ID,
        "key": _BAD_ID,
        **{file_columns(role).name: _BAD_NAME for role in ("image", *facts.masks)},
    }
    for name, pattern in checked.items():
        if not len(table):
            break
        if compute.max(compute.binary_length(table[name])).as_py() > _LONGEST_NAME:
            return f"its column {name} holds a text of more than {_LONGEST_NAME} bytes"
        if compute.any(compute.match_substring_regex(table[name], pattern)).as_py():
            return f"its column {name} holds a name that leads elsewhere or cannot be shown"
    for name in ("split", "key", "image"):
        if len(table) and compute.min(compute.binary_length(table[name])).as_py() == 0:
            return f"its column {name} holds an empty name"
    return ""


def _wrong_places(index: Index) -> str:
    sizes = np.array([shard.size for shard in index.facts.shards], np.int64)
    if len(index.shards) and not (index.shards.min() >= 0 and index.shards.max() < len(sizes)):
        return "a row names a tar that there is not"
    of_row = sizes[index.shards]
    for position, files in enumerate(index.files):
        missing = (files.offsets == -1) & (files.sizes == 0)
        # Subtracted, because the sum of two large numbers may overflow.
        right = (files.offsets >= 0) & (files.sizes >= 0) & (files.sizes <= of_row)
        right &= files.offsets <= of_row - files.sizes
        if not (right | missing if position else right).all():
            return "a row places a file outside of its tar"
    return ""


def _wrong_splits(compute: Any, table: Any, facts: Facts) -> str:
    runs = _runs(table, compute)
    if sum(map(len, runs.values())) < len(table):
        return "the rows of a split do not follow each other"
    for rows in runs.values():
        keys = table["key"].slice(rows.start, len(rows))
        ascending = compute.all(compute.less(keys.slice(0, len(keys) - 1), keys.slice(1)))
        if len(keys) > 1 and not ascending.as_py() and compute.count_distinct(keys).as_py() < len(keys):
            return "two rows of a split have the same key"
    named = {split for splits in facts.divisions.values() for split in splits.values()}
    if not named <= set(runs):
        return "a division names a split that there is not"
    return ""


def _runs(table: Any, compute: Any) -> dict[str, range]:
    """Split -> its first run of rows, at most as many as a data set has splits."""
    splits, runs, start = table["split"], {}, 0
    if not len(splits):
        return runs
    changes: list[int] = []
    if len(splits) > 1:  # comparing nothing with nothing ends the process in versions of pyarrow before 26
        found = compute.not_equal(splits.slice(0, len(splits) - 1), splits.slice(1))
        changes = compute.indices_nonzero(found).to_pylist()[:_MOST_SPLITS]
    for end in (*(change + 1 for change in changes), len(splits)):
        runs.setdefault(splits[start].as_py(), range(start, end))
        start = end
    return runs


def _damaged(path: Path, reason: str) -> DataError:
    return DataError("D270", f"{printable(path)}: the index of the shards is damaged: {printable(reason)}", _HELP)
