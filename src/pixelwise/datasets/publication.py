"""Publications of data sets: archives, terms of use, and the files of a complete copy."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import msgspec

from pixelwise.observer import Observer
from pixelwise.storage import printable


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One archive of a data set.

    Attributes:
        file: File name of the archive.
        url: URL at the publisher; None for archives behind a login.
        brings: Path that the archive unpacks to, relative to the data set's folder; if it exists, the archive is not
            needed.
        into: Folder to unpack the archive into, relative to the data set's folder, for archives of loose files.
        only: The only folder of the archive that is unpacked; see `storage.archives.unpack`.
        size: Size of the archive in bytes; None if it is not published.
        sha256: SHA-256 of the archive; None if it is not published.
    """

    file: str
    url: str | None
    brings: str
    into: str = ""
    only: str = ""
    size: int | None = None
    sha256: str | None = None


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A published data set and how to get it.

    Attributes:
        name: Name of the data set for `pixelwise data prepare`.
        summary: One line: number of images and classes.
        terms: Terms of use, and where they are published.
        sources: Archives that the data set consists of.
        expected: File pattern below the folder -> number of matching files in a complete copy.
        by_hand: Instructions for archives behind a login.
        unpacks_to: Folder below the data set's folder that the archives unpack to; empty: they unpack side by side.
        finish: Called with the data set's folder after unpacking, to convert files where needed. It does nothing if
            that was done before.
    """

    name: str
    summary: str
    terms: str
    sources: tuple[Source, ...]
    expected: dict[str, int]
    by_hand: str = ""
    unpacks_to: str = ""
    finish: Callable[[Path, Observer], None] | None = None

    def command(self, folder: Path) -> str:
        """The command that prepares the data set: `pixelwise data prepare voc-aug --root DATA`.

        Args:
            folder: The data set's folder, or `unpacks_to` in it.
        """
        inner = Path(self.unpacks_to).parts
        if inner and folder.parts[-len(inner) :] == inner:
            folder = Path(*folder.parts[: -len(inner)])
        return f"pixelwise data prepare {self.name} --root {shlex.quote(printable(folder))}"
