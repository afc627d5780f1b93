"""Storage: atomic writes, hashes, locks, caches, archives, downloads, JSON text, portable file names."""

from pixelwise.storage.atomic import building_folder, scratch_folder, write_bytes, write_text, writing
from pixelwise.storage.caches import remembered
from pixelwise.storage.hashing import sha256_bytes, sha256_file, sha256_folder
from pixelwise.storage.json_text import json_text
from pixelwise.storage.names import portable, printable

__all__ = [
    "building_folder",
    "json_text",
    "portable",
    "printable",
    "remembered",
    "scratch_folder",
    "sha256_bytes",
    "sha256_file",
    "sha256_folder",
    "write_bytes",
    "write_text",
    "writing",
]
