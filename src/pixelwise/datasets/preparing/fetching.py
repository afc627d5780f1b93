"""Public data sets from their publishers to a folder that opens: downloaded, checked, unpacked, converted.

Nothing is downloaded without being asked for. Archives that somebody put into the folder are used as they are, so
a machine without a network is served as well. SHA-256 are those that several independent tools publish; where
nobody publishes one, the first download's is written to `downloads.json` in the folder and checked from then on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.preparing.public_data import VOC, Publication, Source, publication_of
from pixelwise.datasets.preparing.sbd import write_augmented
from pixelwise.errors import DataError
from pixelwise.storage import json_text, printable, sha256_file, write_text
from pixelwise.storage.archives import unpack
from pixelwise.storage.downloads import download

Tell = Callable[[str], None]
Progress = Callable[[str, int, int], None]
RECORD = "downloads.json"


class State(NamedTuple):
    """What is there.

    Attributes:
        counts: Pattern -> (files found, files expected).
        missing: Archives whose content is not there.
    """

    counts: dict[str, tuple[int, int]]
    missing: tuple[Source, ...]

    @property
    def complete(self) -> bool:
        """Whether every file is there."""
        return not self.missing and all(found >= expected for found, expected in self.counts.values())


class _Recorded(msgspec.Struct):
    """What was learnt at the first use of an archive."""

    url: str | None
    bytes: int
    sha256: str
    first_seen: str


def state_of(publication: Publication, root: Path) -> State:
    """What of a data set is in `root`. Only names are read."""
    counts = {pattern: (sum(1 for _ in root.glob(pattern)), number) for pattern, number in publication.expected.items()}
    return State(counts, tuple(source for source in publication.sources if not (root / source.brings).exists()))


def prepare(
    name: str,
    root: Path,
    *,
    fetch: bool = False,
    tell: Tell = lambda line: None,
    progress: Progress | None = None,
    publications: dict[str, Publication] | None = None,
) -> State:
    """Bring a public data set into the folder `root`, as far as it can be.

    Args:
        name: A key of `PUBLIC_DATA`.
        root: Created if need be. Archives are looked for here, and unpacked here.
        fetch: Download archives that are not there.
        tell: Called with a sentence at each step.
        progress: Called with what is being done, how much is done and how much there is (0: unknown).
        publications: Instead of `PUBLIC_DATA`.

    Returns:
        What is there at the end.

    Raises:
        RecipeError: R203, no such data set.
        DataError: D250, D251, the download; D252, the archive; D253, archives are missing that cannot
            be downloaded, or were not to be; D226, SBD's masks.
        ResourceError: S601, S602, the disk is full.
    """
    publication = publications[name] if publications is not None else publication_of(name)
    lacking = []
    for source in state_of(publication, root).missing:
        archive = root / source.file
        if not archive.is_file() and not (fetch and source.url):
            lacking.append(source)
            continue
        _get(source, archive, tell, progress)
        tell(f"unpacking {source.file}")
        unpack(
            archive,
            root / source.into,
            only=source.only,
            progress=lambda done, total, file=source.file: progress and progress(f"unpacking {file}", done, total),
        )
        if not (root / source.brings).exists():
            raise DataError(
                "D252",
                f"{printable(archive)}: it unpacks to something else; expected {source.brings}",
                "download it again from its publisher",
            )
    if lacking:
        raise _not_there(publication, root, lacking, name)
    _merge_sbd(root, tell, progress)
    return state_of(publication, root)


def _get(source: Source, archive: Path, tell: Tell, progress: Progress | None) -> None:
    """Download an archive, or take the one that is there; compare and remember its hash."""
    record = _read_record(archive.parent)
    known = record.get(source.file)
    expected = source.sha256 or (known.sha256 if known else None)
    if source.url is not None and not archive.exists():
        tell(f"downloading {source.url}")
        fetched = download(
            source.url,
            archive,
            sha256=expected,
            size=source.size,
            progress=lambda done, total: progress and progress(f"downloading {source.file}", done, total),
        )
        digest, size = fetched.sha256, fetched.size
    else:
        tell(f"checking {source.file}")
        digest, size = sha256_file(archive), archive.stat().st_size
        if expected is not None and digest != expected:
            raise DataError(
                "D251",
                f"{printable(archive)}: its SHA-256 is {digest}, expected {expected}",
                "remove it and download it again",
            )
    if known is None:
        record[source.file] = _Recorded(source.url, size, digest, time.strftime("%F"))
        write_text(archive.parent / RECORD, json_text(record))


def _read_record(folder: Path) -> dict[str, _Recorded]:
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=dict[str, _Recorded])
    except (OSError, msgspec.DecodeError):
        return {}


def _merge_sbd(root: Path, tell: Tell, progress: Progress | None) -> None:
    """The masks of VOC and SBD in one folder, where both are there and the list is not."""
    voc, sbd = root / VOC, root / "benchmark_RELEASE" / "dataset"
    listed = voc / "ImageSets" / "Segmentation" / "trainaug.txt"
    if not sbd.is_dir() or not voc.is_dir() or listed.exists():
        return
    tell("converting the masks of SBD")
    of_sbd, of_voc = write_augmented(
        voc, sbd, progress=lambda done, total: progress and progress("converting masks", done, total)
    )
    tell(f"SegmentationClassAug/: {of_sbd} masks of SBD, {of_voc} of VOC")


def _not_there(publication: Publication, root: Path, lacking: Sequence[Source], name: str) -> DataError:
    public = [source for source in lacking if source.url]
    gated = [source for source in lacking if not source.url]
    help = []
    if public:
        size = sum(source.size or 0 for source in public)
        about = f" ({size / 1e9:.1f} GB)" if size else ""
        urls = ", ".join(source.url or "" for source in public)
        help.append(f"add --download to fetch {urls}{about}, or put the files there")
    if gated:
        help.append(f"{publication.by_hand}; put {' and '.join(s.file for s in gated)} into {printable(root)}")
    files = ", ".join(f"{source.file} (or {source.brings}/, unpacked)" for source in lacking)
    return DataError(
        "D253",
        f"{printable(root)}: {name} is not complete; not there: {files}",
        f"{'; '.join(help)}, and run this again",
    )
