"""Prepares public data sets in a folder: downloads, checks, unpacks and converts them.

Nothing is downloaded unless asked for. Archives that are already in the folder are used as they are, so it also works
on a machine without a network. SHA-256 hashes are those that several independent tools publish; if there is none, the
hash of the first download is written to `downloads.json` in the folder and checked from then on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.datasets.format import FORMATS
from pixelwise.datasets.preparing.options import PrepareOptions
from pixelwise.datasets.publication import Publication, Source
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.storage import json_text, printable, sha256_file, write_text
from pixelwise.storage.archives import unpack
from pixelwise.storage.documents import DocumentError, read_json
from pixelwise.storage.downloads import download
from pixelwise.storage.locks import writing_alone
from pixelwise.suggestions import did_you_mean

RECORD = "downloads.json"
"""Name of the file in the data set's folder that records the hashes of the archives used."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a public data set in its folder.

    Attributes:
        publication: The data set that was prepared.
        root: Folder of the data set.
        counts: File pattern below the folder -> (number of files found, number expected).
        missing: Archives whose content is missing.
    """

    publication: Publication
    root: Path
    counts: dict[str, tuple[int, int]]
    missing: tuple[Source, ...]

    @property
    def complete(self) -> bool:
        """Whether every file is there."""
        return not self.missing and not self.lacking

    @property
    def lacking(self) -> dict[str, tuple[int, int]]:
        """The patterns that match fewer files than expected, with the counts."""
        return {pattern: counts for pattern, counts in self.counts.items() if counts[0] < counts[1]}


class _ArchiveRecord(msgspec.Struct):
    """Facts about an archive, recorded when it is first used."""

    url: str | None
    bytes: int
    sha256: str
    first_seen: str


def list_public_data() -> dict[str, Publication]:
    """The data sets that `prepare` can get, by name, including those of formats from other installed packages."""
    return {one.name: one for format in FORMATS.all().values() for one in format.publications}


def prepare(
    name: str,
    root: str | os.PathLike[str] | None = None,
    options: PrepareOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> Prepared:
    """Prepare a public data set in a folder: download, check, unpack and convert what is missing.

    Args:
        name: Name of the data set, a key of `list_public_data()`.
        root: Folder of the data set, created if missing; archives in it are used. None: `data/NAME`.
        options: See `PrepareOptions`; single options can be given by keyword.
        observer: Receives the current step and its progress.
        **changes: Fields of `PrepareOptions`, which override `options`.

    Returns:
        The state of the folder, with every file in place.

    Raises:
        RecipeError: R203, there is no such data set.
        DataError: D250 or D251, a download failed or has another hash; D252, an archive cannot be unpacked or holds
            something else; D253, archives are missing that cannot or must not be downloaded, or files are missing at
            the end; D226, a mask or a list of SBD is missing or damaged.
        RunLockedError: L701, another process prepares the folder.
        ResourceError: S601, S602, the disk is full.
    """
    options = chosen(PrepareOptions, options, changes)
    publication = _publication(name)
    folder = Path(root) if root is not None else Path("data") / name
    observer.phase(f"{name}: terms: {publication.terms}")
    with writing_alone(folder):
        _fill(publication, folder, options, observer)
    prepared = state_of(publication, folder)
    if not prepared.complete:
        raise _incomplete(prepared)
    return prepared


def _fill(publication: Publication, folder: Path, options: PrepareOptions, observer: Observer) -> None:
    """Get what is missing in a folder; raises the same errors as `prepare`."""
    lacking = []
    for source in state_of(publication, folder).missing:
        archive = folder / source.file
        if not archive.is_file() and not (options.download and source.url):
            lacking.append(source)
            continue
        _get(source, archive, observer)
        observer.phase(f"unpacking {source.file}", "bytes")
        unpack(
            archive,
            folder / source.into,
            only=source.only,
            progress=lambda done, total: observer.progress(done, total or None),
        )
        if not (folder / source.brings).exists():
            raise DataError(
                "D252",
                f"{printable(archive)}: unpacks to something else; expected {source.brings}",
                "download it again from its publisher",
            )
    if lacking:
        raise _not_there(publication, folder, lacking)
    if publication.finish is not None:
        publication.finish(folder, observer)


def state_of(publication: Publication, root: Path) -> Prepared:
    """The state of a data set in `root`, by the names of its files alone."""
    counts = {pattern: (sum(1 for _ in root.glob(pattern)), number) for pattern, number in publication.expected.items()}
    missing = tuple(source for source in publication.sources if not (root / source.brings).exists())
    return Prepared(publication=publication, root=root, counts=counts, missing=missing)


def _publication(name: str) -> Publication:
    known = list_public_data()
    if name not in known:
        raise RecipeError(
            "R203",
            f"unknown data set '{name}'{did_you_mean(name, known)}",
            f"known: {', '.join(known)}; a custom data set needs no preparation: pixelwise check PATH",
        )
    return known[name]


def _get(source: Source, archive: Path, observer: Observer) -> None:
    """Download an archive, or take the existing one; check its hash and record it."""
    record = _read_record(archive.parent)
    known = record.get(source.file)
    expected = source.sha256 or (known.sha256 if known else None)
    if source.url is not None and not archive.exists():
        observer.phase(f"downloading {source.url}", "bytes")
        fetched = download(
            source.url,
            archive,
            sha256=expected,
            size=source.size,
            progress=lambda done, total: observer.progress(done, total or None),
        )
        digest, size = fetched.sha256, fetched.size
    else:
        observer.phase(f"checking {source.file}")
        digest, size = sha256_file(archive), archive.stat().st_size
        if expected is not None and digest != expected:
            raise DataError(
                "D251",
                f"{printable(archive)}: has the SHA-256 {digest}; expected {expected}",
                "remove it and download it again",
            )
    if known is None:
        record[source.file] = _ArchiveRecord(source.url, size, digest, time.strftime("%Y-%m-%d"))
        write_text(archive.parent / RECORD, json_text(record))


def _read_record(folder: Path) -> dict[str, _ArchiveRecord]:
    try:
        return read_json(folder / RECORD, dict[str, _ArchiveRecord])
    except DocumentError:
        return {}


def _not_there(publication: Publication, root: Path, lacking: Sequence[Source]) -> DataError:
    public = [source for source in lacking if source.url]
    gated = [source for source in lacking if not source.url]
    help = []
    if public:
        size = sum(source.size or 0 for source in public)
        about = f" ({size / 1e9:.1f} GB)" if size else ""
        urls = ", ".join(source.url or "" for source in public)
        help.append(f"add `download` to fetch {urls}{about}, or put the files there")
    if gated:
        help.append(f"{publication.by_hand}; put {' and '.join(s.file for s in gated)} into {printable(root)}")
    files = ", ".join(f"{source.file} (or {source.brings}/, unpacked)" for source in lacking)
    return DataError(
        "D253",
        f"{printable(root)}: {publication.name} is incomplete; missing: {files}",
        f"{'; '.join(help)}, and run this again",
    )


def _incomplete(prepared: Prepared) -> DataError:
    lacking = ", ".join(f"{pattern} ({found} of {number})" for pattern, (found, number) in prepared.lacking.items())
    return DataError(
        "D253",
        f"{printable(prepared.root)}: {prepared.publication.name} is incomplete: {lacking}",
        "put the missing files there, or remove the incomplete folder and run this again",
    )
