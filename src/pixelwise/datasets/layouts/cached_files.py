"""Images and masks that are inside of other files, written once as files of their own into the user's cache folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pixelwise.datasets.fingerprint import stat_signature
from pixelwise.storage.cache_kinds import DRAWN
from pixelwise.storage.caches import building_entry, entry_path, subject_of
from pixelwise.storage.locks import keep_in_use


def cached_files(kind: str, root: Path, sources: Iterable[Path], write: Callable[[Path], None]) -> Path:
    """The folder that `write` fills, unless an earlier call filled it from the same files.

    It is written again when the path, size or modification time of a source changes, all of it or nothing;
    nothing is written beside the data.

    Args:
        kind: Name of the format, in lower-case letters, digits and hyphens.
        root: The data set's folder: what was written of it before goes when the new folder is there.
        sources: Every file that the content depends on.
        write: Writes the files below a folder.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
    """
    subject = subject_of(root.absolute())
    folder = entry_path(DRAWN, stat_signature(sources)[:24], variant=kind, subject=subject)
    keep_in_use(folder)
    if not folder.is_dir():
        with building_entry(DRAWN, folder, variant=kind, subject=subject) as unfinished:
            write(unfinished)
    return folder
