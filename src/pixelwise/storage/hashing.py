"""SHA-256 of files, folders and bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pixelwise.machine.stalls import reads


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with reads(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_folder(folder: Path) -> str:
    """Hexadecimal SHA-256 of the names and contents of all files below a folder.

    It is that of the text which `find . -type f | sort | xargs sha256sum` prints within the folder, in the order of
    bytes (`LC_ALL=C`).
    """
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    return sha256_bytes("".join(f"{sha256_file(folder / name)}  ./{name}\n" for name in names).encode())


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()
