"""Extracts images and masks from other files, once, into the user's cache folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pixelwise.datasets.fingerprint import stat_signature
from pixelwise.storage.cache_kinds import DRAWN
from pixelwise.storage.caches import building_entry, entry_path, intact_entry, subject_of


def cached_files(kind: str, root: Path, sources: Iterable[Path], write: Callable[[Path], None]) -> Path:
    """Return a folder filled by `write`, now or by an earlier call with the same files.

    It is written again, completely or not at all, when the path, size or modification time of a source changes; nothing
    is written next to the data.

    Args:
        kind: Name of the format, in lower-case letters, digits and hyphens.
        root: Folder of the data set; once the new folder exists, older ones of this data set are removed.
        sources: All files that the content depends on.
        write: Writes the files below the folder that it is given.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
    """
    subject = subject_of(root.absolute())
    folder = entry_path(DRAWN, stat_signature(sources)[:24], variant=kind, subject=subject)
    if not intact_entry(folder):
        with building_entry(DRAWN, folder, variant=kind, subject=subject) as unfinished:
            write(unfinished)
    return folder
