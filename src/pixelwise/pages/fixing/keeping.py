"""Saves masks: the original is kept once, the change is logged, the file is replaced or made at once or not at all."""

from __future__ import annotations

import datetime
import io
import threading
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.samples import Dataset
from pixelwise.errors import PixelwiseError
from pixelwise.machine.files import flush, link_new, make_newer
from pixelwise.pages.fixing.blanks import blank_mask
from pixelwise.pages.fixing.masks import Mask, Uneditable, open_mask, repainted
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import printable, scratch_folder, sha256_bytes, write_bytes, writing
from pixelwise.storage.locks import work_lock

FOLDER = ".pixelwise-fix"
"""Folder of a data set's edits, within the data set. Hidden folders hold no images and no masks."""
ORIGINALS = "originals"
LOG = "edits.jsonl"
_REMEMBERED = 4


class Stale(Exception):
    """The mask on the disk is another one than the change was made on."""


class Edit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the edit log. It is written before the mask is replaced, so that no state of a mask lacks its line.

    Attributes:
        time: When, in UTC.
        image: Split and id of the image.
        mask: The mask, relative to the data folder; printable.
        before: SHA-256 of the mask before; of what it began with, if there was none.
        after: SHA-256 of the mask after. If the next line of the mask has the same `before`, the server was killed in
            between, and the change was made again or not at all.
        session: The page that made the change.
        pixels: Number of pixels that changed.
        gained: Class, or `ignored`, or `unknown` -> number of pixels that became it.
        lost: The same for what the pixels were before.
        made: Whether there was no mask before.
    """

    time: str
    image: str
    mask: str
    before: str
    after: str
    session: str
    pixels: int
    gained: dict[str, int]
    lost: dict[str, int]
    made: bool = False


class Target(NamedTuple):
    """A mask that may be written.

    Attributes:
        path: Its file, without links.
        relative: The same below the data folder.
        image: Split and id of its image.
        photo: The image, if its mask is made with the first change; None if there has to be one.
    """

    path: Path
    relative: Path
    image: str
    photo: Path | None = None


class Keeper:
    """Reads and saves the masks of one data folder. Thread-safe.

    Args:
        root: The data folder, without links.
        dataset: The data set that was found there.
        lock: Held while anything is read or saved; None for one of its own.
    """

    def __init__(self, root: Path, dataset: Dataset, lock: threading.RLock | None = None) -> None:
        self.folder, self._dataset = root / FOLDER, dataset
        self._lock = lock or threading.RLock()
        self._masks: dict[Path, Mask] = {}
        self._blanks: dict[tuple[Path, tuple[int, int]], Mask] = {}
        self._made: dict[Path, str] = {}

    def mask(self, target: Target) -> Mask:
        """A mask as it is on the disk now, or the one that an image without a mask begins with.

        Raises:
            Uneditable: It cannot be edited or read.
        """
        return self._read(target)[0]

    def _read(self, target: Target) -> tuple[Mask, bool]:
        """A mask, and whether there is a file of it."""
        with self._lock:
            try:
                content = target.path.read_bytes()
                known = self._masks.get(target.path)
                if known is None or known.content != content:
                    known = open_mask(content, target.path, self._dataset)
                _remember(self._masks, target.path, known)
                return known, True
            except FileNotFoundError as error:
                if target.photo is None:
                    raise Uneditable(str(error)) from error
                return self._blank(target.path, target.photo), False
            except (OSError, PixelwiseError) as error:
                raise Uneditable(str(error)) from error

    def _blank(self, path: Path, photo: Path) -> Mask:
        try:
            facts = photo.stat()
            state = path, (facts.st_size, facts.st_mtime_ns)
            known = self._blanks.get(state) or blank_mask(photo, path, self._dataset)
        except (OSError, PixelwiseError) as error:
            raise Uneditable(str(error)) from error
        _remember(self._blanks, state, known)
        return known

    def save(self, target: Target, runs: np.ndarray, base: str, session: str) -> Mask:
        """Change a mask on the disk, and return it as it is then.

        Args:
            target: The mask.
            runs: What is painted, as for `repainted`.
            base: SHA-256 of the mask that it is painted on.
            session: Name of the page. If the file is what this page's last change of `base` made of it, whose answer
                was lost, then that change is continued.

        Raises:
            Stale: The file is another one than `base`.
            Uneditable: The change is not allowed, or another program has made a mask of another ending meanwhile.
            ResourceError: S601, the disk is full.
        """
        kept = self.folder / ORIGINALS / target.relative
        if any(one.is_symlink() for one in (kept, *kept.parents, self.folder / LOG)):
            raise Uneditable(f"{printable(self.folder)} contains links, which could lead out of the data folder.")
        with self._lock, work_lock(self.folder):
            mask, is_there = self._read(target)
            if mask.version != base and not self._continues(target, mask.version, base, session):
                raise Stale
            new = repainted(mask, runs, target.path, self._dataset, self._original_values(target, mask))
            if new is mask:
                return mask
            made_here = not is_there or (not kept.exists() and self._is_made_here(target, mask))
            if not made_here and not kept.exists():
                write_bytes(kept, mask.content)
            if not is_there:
                _require_no_other(target)
            edit = _edit(mask, new, target, session, self._dataset.classes)
            self._log(msgspec.structs.replace(edit, made=not is_there))
            if is_there:
                _replace(target.path, new.content, mask.version)
            else:
                _create(target.path, new.content)
            _remember(self._masks, target.path, new)
            if made_here:
                self._made[target.path] = new.version
            return new

    def edits(self) -> list[Edit]:
        """All lines of the log; a line that was cut off by a crash is left out."""
        try:
            lines = (self.folder / LOG).read_bytes().splitlines()
        except OSError:
            return []
        return [edit for edit in map(_parsed, lines) if edit is not None]

    def _edits_of(self, target: Target) -> list[Edit]:
        mask = printable(target.relative.as_posix())
        return [one for one in self.edits() if one.mask == mask]

    def _is_made_here(self, target: Target, mask: Mask) -> bool:
        """Whether edits alone have made a mask what it is, so that it has no original."""
        if self._made.get(target.path) == mask.version:
            return True  # the log, which grows, is not read for it
        edits = self._edits_of(target)
        return bool(edits) and edits[0].made and edits[-1].after == mask.version

    def _continues(self, target: Target, version: str, base: str, session: str) -> bool:
        last = next(reversed(self._edits_of(target)), None)
        return last is not None and (last.before, last.after, last.session) == (base, version, session)

    def _original_values(self, target: Target, mask: Mask) -> frozenset[int]:
        """The values of the kept original, which undoing may bring back; none if it has another size."""
        kept = self.folder / ORIGINALS / target.relative
        if not kept.is_file() or kept.is_symlink():
            return frozenset()
        try:
            original = self.mask(target._replace(path=kept))
        except Uneditable:
            return frozenset()
        return frozenset(original.meanings) if original.stored.dtype == mask.stored.dtype else frozenset()

    def _log(self, edit: Edit) -> None:
        path = self.folder / LOG
        new = not path.exists()
        with path.open("ab+") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - 1))
            if file.read(1) not in (b"", b"\n"):
                file.write(b"\n")  # a crash has cut the last line off
            file.write(msgspec.json.encode(edit) + b"\n")
        flush(path)
        if new:
            flush(path.parent)


def _replace(path: Path, content: bytes, before: str) -> None:
    """Replace a mask at once.

    Raises:
        Stale: Its SHA-256 is not `before`: another program has written it meanwhile.
    """
    with writing(path) as temporary:
        temporary.write_bytes(content)
        make_newer(temporary, path)
        if sha256_bytes(path.read_bytes()) != before:
            raise Stale


def _require_no_other(target: Target) -> None:
    """Refuse to make a mask beside one of the same name with another ending: the data set would read only one of them.

    Raises:
        Uneditable: Another program has made it meanwhile.
    """
    folder, photo = target.path.parent, target.photo
    own = target.path, None if photo is None else photo.parent.resolve() / photo.name
    for one in folder.iterdir() if folder.is_dir() else ():
        if one.stem == target.path.stem and one.suffix.lower() in SUFFIXES and one not in own:
            raise Uneditable(
                f"Another program has made {printable(one.name)} meanwhile. Open the pages again to edit this mask."
            )


def _create(path: Path, content: bytes) -> None:
    """Make a mask that is not there, complete or not at all.

    Raises:
        Stale: Another program has made it meanwhile.
    """
    with scratch_folder(path.parent) as folder:
        write_bytes(folder / path.name, content)
        if not link_new(folder / path.name, path):
            raise Stale


def _remember(masks: dict[Any, Mask], key: Any, mask: Mask) -> None:
    masks.pop(key, None)
    masks[key] = mask
    while len(masks) > _REMEMBERED:
        masks.pop(next(iter(masks)))


def _parsed(line: bytes) -> Edit | None:
    try:
        return msgspec.json.decode(line, type=Edit)
    except msgspec.DecodeError:
        return None


def _edit(mask: Mask, new: Mask, target: Target, session: str, classes: tuple[str, ...]) -> Edit:
    changed = mask.stored != new.stored
    return Edit(
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        image=printable(target.image),
        mask=printable(target.relative.as_posix()),
        before=mask.version,
        after=new.version,
        session=session,
        pixels=int(changed.sum()),
        gained=_counts(new, changed, classes),
        lost=_counts(mask, changed, classes),
    )


def _counts(mask: Mask, where: np.ndarray, classes: tuple[str, ...]) -> dict[str, int]:
    """Class -> its number of pixels in an area."""
    counted: dict[str, Any] = {}
    values, counts = np.unique(mask.stored[where], return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        meaning = mask.meanings[value]
        name = "ignored" if meaning == IGNORE else classes[meaning] if meaning >= 0 else "unknown"
        counted[name] = counted.get(name, 0) + count
    return counted
