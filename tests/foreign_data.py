"""Writes data sets as other programs do: WebDataset tars by `tarfile`, tables by pyarrow."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_tar(path: Path, members: Mapping[str, bytes] | Iterable[tuple[str, bytes]], **options: Any) -> Path:
    """Write a tar of members by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, **{"mode": "w", **options}) as tar:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def pairs_of(root: Path, split: str) -> list[tuple[str, bytes, bytes]]:
    """Name, image and mask of each pair of a split of loose files, or of all of them."""
    images = sorted((root / "images" / split).glob("*.png"))
    return [(one.stem, one.read_bytes(), (root / "masks" / split / one.name).read_bytes()) for one in images]


def as_webdataset(root: Path, target: Path, mask: str = "seg.png", each: int = 2) -> Path:
    """Loose files in splits as tars of a few samples, with text beside every image."""
    for split in sorted(one.name for one in (root / "images").iterdir()):
        pairs = pairs_of(root, split)
        for first in range(0, len(pairs), each):
            members: dict[str, bytes] = {}
            for name, image, labels in pairs[first : first + each]:
                members |= {f"{name}.png" if mask != "png" else f"{name}.jpg": image, f"{name}.{mask}": labels}
                members[f"{name}.json"] = b"{}"
            write_tar(target / f"{split}-{first // each:06d}.tar", members)
    return target


def rows_of(root: Path, split: str) -> list[dict[str, Any]]:
    """The rows that Hugging Face `datasets` makes of loose files."""
    return [
        {"image": {"bytes": image, "path": f"{name}.png"}, "label": {"bytes": mask, "path": None}, "kind": 1}
        for name, image, mask in pairs_of(root, split)
    ]


def schema() -> Any:
    """The schema of `rows_of`."""
    import pyarrow as pa

    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.schema([("image", picture), ("label", picture), ("kind", pa.int64())])


def write_parquet(path: Path, rows: list[dict[str, Any]], group: int = 2, of: Any = None, **options: Any) -> Path:
    """Write rows as a Parquet file with row groups of a few rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=of or schema()), path, row_group_size=group, **options)
    return path


def as_parquet(root: Path, target: Path) -> Path:
    """Loose files in splits as Parquet files with the names of the Hugging Face hub, two of each split."""
    for split in sorted(one.name for one in (root / "images").iterdir()):
        rows = rows_of(root, split)
        half = len(rows) // 2
        for number, some in enumerate((rows[:half], rows[half:])):
            write_parquet(target / "data" / f"{split}-{number:05d}-of-00002.parquet", some)
    return target


def as_saved(root: Path, target: Path) -> Path:
    """Loose files in splits as `datasets.save_to_disk` leaves them: Arrow streams and descriptions."""
    import pyarrow as pa

    for split in sorted(one.name for one in (root / "images").iterdir()):
        folder = target / split
        folder.mkdir(parents=True)
        table = pa.Table.from_pylist(rows_of(root, split), schema=schema())
        file = str(folder / "data-00000-of-00001.arrow")
        with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        (folder / "dataset_info.json").write_text("{}")
        (folder / "state.json").write_text("{}")
    (target / "dataset_dict.json").write_text('{"splits": ["train", "val"]}')
    return target
