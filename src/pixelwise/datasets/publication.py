"""Publications of data sets: archives, terms, and what has to be there at the end."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import msgspec

from pixelwise.observer import Observer
from pixelwise.storage import printable


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One archive.

    Attributes:
        file: Name of the archive.
        url: Address at the publisher; None for archives behind a login.
        brings: What the archive unpacks to, relative to the data set's folder; once it is there, nothing is to be done.
        into: Folder that the archive is unpacked to, relative to the data set's: some archives hold loose files.
        only: Folder inside the archive that is unpacked; see `storage.archives.unpack`.
        size: Bytes of the archive; None where nobody publishes them.
        sha256: Hash of the archive; None where nobody publishes one.
    """

    file: str
    url: str | None
    brings: str
    into: str = ""
    only: str = ""
    size: int | None = None
    sha256: str | None = None


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """How to get a data set.

    Attributes:
        name: What `pixelwise data prepare` calls the data set.
        summary: One line: number of images and classes.
        terms: Who may use the data, and where that is said.
        sources: Archives that the data set consists of.
        expected: Pattern below the folder -> number of files that match it once everything is there.
        by_hand: What to do for archives behind a login.
        unpacks_to: Folder below the data set's that the archives unpack to; empty: they unpack side by side.
        finish: Called with the data set's folder once the archives are unpacked, to convert what has to be converted.
            It does nothing where that was done before.
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
        """The command that brings the data set: `pixelwise data prepare voc-aug --root DATA`.

        Args:
            folder: The data set's folder, or `unpacks_to` in it.
        """
        inner = Path(self.unpacks_to).parts
        if inner and folder.parts[-len(inner) :] == inner:
            folder = Path(*folder.parts[: -len(inner)])
        return f"pixelwise data prepare {self.name} --root {shlex.quote(printable(folder))}"
