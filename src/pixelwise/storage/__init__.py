"""Where bytes go: atomic writes, hashes, locks, caches, names that print."""

from pixelwise.storage.atomic import write_bytes, write_text, writing
from pixelwise.storage.caches import cache_folder
from pixelwise.storage.hashing import sha256_bytes, sha256_file
from pixelwise.storage.names import printable

__all__ = [
    "cache_folder",
    "printable",
    "sha256_bytes",
    "sha256_file",
    "write_bytes",
    "write_text",
    "writing",
]
