"""SHA-256 of files and bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pixelwise.machine.stalls import reads


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with reads(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()
