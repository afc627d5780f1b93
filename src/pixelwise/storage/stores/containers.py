"""Files that hold many images: tars, and Parquet and Arrow files, by their names."""

from __future__ import annotations

import os
from pathlib import Path

from pixelwise.storage.stores.addresses import address_of

WORDS = {"tar": "tars", "parquet": "Parquet files", "arrow": "Arrow files"}
"""Kind of container -> what messages call several."""
_ENDINGS = {".tar": "tar", ".parquet": "parquet", ".arrow": "arrow"}
_PACKED = {".gz": "gzip", ".tgz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


def container_kind(name: str) -> str | None:
    """The kind of a container by the extension of its name: `tar`, `parquet` or `arrow`; None for other files."""
    return _ENDINGS.get(os.path.splitext(name)[1].lower())


def compression_of(name: str) -> str:
    """How a tar is compressed by the extension of its name, such as `gzip`; empty for other files."""
    stem, ending = os.path.splitext(name.lower())
    return _PACKED.get(ending, "") if ending == ".tgz" or stem.endswith(".tar") else ""


def names_containers(place: Path) -> bool:
    """Whether a path or address names tars or tables one by one: a file of that kind, or a pattern for such files."""
    if container_kind(place.name) is None and not compression_of(place.name):
        return False
    return address_of(place) is not None or not place.is_dir()
