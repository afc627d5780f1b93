"""Samples of Parquet and Arrow files with the bytes of images and masks, as Hugging Face `datasets` writes them.

A picture is a column of bytes, or a struct of `bytes` and `path`. The path names the sample if every image has one of
its own; else a column such as `image_id` or `file_name` does, and else the position of the row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.shards.foreign.cells import CellStore
from pixelwise.datasets.shards.foreign.containers import Containers
from pixelwise.datasets.shards.foreign.fields import Chosen, Fields, choose
from pixelwise.datasets.shards.foreign.matching import Picture, shown_key, shown_name
from pixelwise.datasets.shards.index import Placed
from pixelwise.datasets.shards.packages import parquet
from pixelwise.errors import DataError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.storage import printable
from pixelwise.storage.stores.ahead import MOST_AT_ONCE

_IDS = ("__key__", "id", "image_id", "file_name", "filename", "image_path", "path", "name", "key")
"""Columns that may name the samples."""
_DIGITS = 6
_NO_HASH = bytes(32)


class TablePictures(NamedTuple):
    """The pictures of tables.

    Attributes:
        pictures: The images and masks.
        chosen: The fields that they are.
        columns: The columns of images and masks.
        rows: Number of rows of each file.
        named_by: What names the samples, in words.
    """

    pictures: list[Picture]
    chosen: Chosen
    columns: tuple[str, ...]
    rows: dict[str, int]
    named_by: str


class _Columns(NamedTuple):
    """The columns of pictures: field -> column of the bytes, and of the path if there is one."""

    of_bytes: dict[str, str]
    of_path: dict[str, str]
    texts: tuple[str, ...]


def pictures_of(
    containers: Containers, cells: CellStore, splits: Mapping[str, str], asked: Fields, *, labelled: bool
) -> TablePictures:
    """The images and masks of tables; of their columns, only those of names are read.

    Args:
        containers: The tables.
        cells: Their columns.
        splits: File -> its split; others are not read.
        asked: Columns that somebody named.
        labelled: Whether masks are wanted.

    Raises:
        DataError: D273, a file cannot be read, has other columns than the first or holds no pictures; D274, it is not
            clear which columns are meant.
    """

    def opened(name: str) -> tuple[Any, int]:
        try:
            file = cells.file(name)
        except OSError as error:
            raise _unreadable(containers.shown(name), error) from error
        return file.schema, file.rows

    with thread_pool(MOST_AT_ONCE if cells.far else reading_threads()) as pool:
        files = dict(zip(splits, pool.map(opened, splits), strict=True))
        columns = _columns(containers, {name: schema for name, (schema, _) in files.items()})
        rows = {name: number for name, (_, number) in files.items()}
        chosen = choose(
            dict.fromkeys(columns.of_bytes, sum(rows.values())),
            0,
            asked,
            where=printable(containers.base),
            what="columns",
            labelled=labelled,
        )
        fields = [chosen.image[0], *([chosen.mask] if chosen.mask else [])]

        def read(name: str) -> _Read:
            try:
                return _read(cells, name, columns, fields)
            except OSError as error:
                raise _unreadable(containers.shown(name), error) from error

        found = dict(zip(rows, pool.map(read, rows), strict=True))
    keys, named_by = _keys(found, splits, rows)
    pictures = [one for name, of_file in found.items() for one in _pictures(name, of_file, keys[name], fields)]
    used = tuple(columns.of_bytes[field] for field in fields)
    return TablePictures(pictures, chosen, used, rows, named_by)


def _columns(containers: Containers, schemas: Mapping[str, Any]) -> _Columns:
    arrow, _, _ = parquet()
    (first, schema), *others = schemas.items()
    of_bytes: dict[str, str] = {}
    of_path: dict[str, str] = {}
    for field in schema:
        kind = field.type
        inner = {} if not arrow.types.is_struct(kind) else {one.name: one.type for one in kind}
        if _holds_bytes(arrow, kind):
            of_bytes[field.name] = field.name
        elif "bytes" in inner and _holds_bytes(arrow, inner["bytes"]):
            of_bytes[field.name] = f"{field.name}.bytes"
            if "path" in inner and _holds_text(arrow, inner["path"]):
                of_path[field.name] = f"{field.name}.path"
    if not of_bytes:
        raise DataError(
            "D273",
            f"{containers.shown(first)}: has no column with the bytes of images; columns: {', '.join(schema.names)}",
            "images are columns of bytes, or structs with `bytes`, as Hugging Face `datasets` writes them",
        )
    for name, other in others:
        different = next((one for one in of_bytes if not _same(schema, other, one)), None)
        if different is not None:
            raise DataError(
                "D273",
                f"{containers.shown(name)}: has another column {printable(different)} than {containers.shown(first)}",
                "name the files that belong together by a pattern in braces, such as 'train-{00000..00004}.parquet'",
            )
    texts = tuple(name for name in _IDS if name in schema.names and _names(arrow, schema.field(name).type))
    return _Columns(of_bytes, of_path, texts)


def _same(schema: Any, other: Any, name: str) -> bool:
    return name in other.names and other.field(name).type.equals(schema.field(name).type)


def _holds_bytes(arrow: Any, kind: Any) -> bool:
    return arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind)


def _holds_text(arrow: Any, kind: Any) -> bool:
    return arrow.types.is_string(kind) or arrow.types.is_large_string(kind)


def _names(arrow: Any, kind: Any) -> bool:
    return _holds_text(arrow, kind) or arrow.types.is_integer(kind)


class _Read(NamedTuple):
    """What is read of a file before its pictures: empty rows by field, and what may name its rows, by column."""

    empty: list[set[int]]
    paths: list[str]
    names: dict[str, list[str]]


def _read(cells: CellStore, name: str, columns: _Columns, fields: Sequence[str]) -> _Read:
    path = columns.of_path.get(fields[0])
    return _Read(
        [cells.empty_rows(name, columns.of_bytes[field]) for field in fields],
        [] if path is None else cells.texts(name, path),
        {column: cells.texts(name, column) for column in columns.texts},
    )


def _keys(
    found: Mapping[str, _Read], splits: Mapping[str, str], rows: Mapping[str, int]
) -> tuple[dict[str, list[str]], str]:
    """The key of each row of each file, and what gives it, in words."""
    candidates = {"the paths of the images": {name: one.paths for name, one in found.items()}}
    for column in next(iter(found.values())).names:
        candidates[f"the column {column}"] = {name: one.names.get(column, []) for name, one in found.items()}
    for words, texts in candidates.items():
        keys = {name: [_key(text) for text in some] for name, some in texts.items()}
        if all(map(all, keys.values())) and all(len(keys[name]) == number for name, number in rows.items()):
            of_split = Counter((splits[name], key) for name, some in keys.items() for key in some)
            if len(of_split) == sum(rows.values()):
                return keys, words
    digits = max(_DIGITS, len(str(sum(rows.values()))))
    before: Counter[str] = Counter()
    keys = {}
    for name, number in rows.items():
        start = before[splits[name]]
        keys[name] = [f"{start + row:0{digits}d}" for row in range(number)]
        before[splits[name]] += number
    return keys, "the positions of the rows"


def _key(text: str) -> str:
    """What a path or id names: without the extension of an image, and of an absolute path its last part alone."""
    path = PurePosixPath(text.replace("\\", "/"))
    path = PurePosixPath(path.name) if path.is_absolute() or ":" in path.parts[:1] else path
    return shown_key(str(path.with_suffix("") if path.suffix.lower() in SUFFIXES else path)) if path.name else ""


def _pictures(name: str, found: _Read, keys: Sequence[str], fields: Sequence[str]) -> Iterator[Picture]:
    for role, (field, empty) in enumerate(zip(fields, found.empty, strict=True)):
        for row, key in enumerate(keys):
            if row in empty:
                continue
            suffix = PurePosixPath(found.paths[row]).suffix.lower() if found.paths else ""
            ending = f".{field}" if role else suffix if suffix in SUFFIXES else ""
            shown = shown_name(key.replace(".", "_") + ending)
            yield Picture(key, name, Placed(shown, row, 1, _NO_HASH), bool(role))


def _unreadable(shown: str, error: OSError) -> DataError:
    reason = error.strerror or str(error)
    return DataError("D273", f"{shown}: cannot be read: {printable(reason)}", "copy the file again, or leave it out")
