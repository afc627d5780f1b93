"""Receipts of predictions: which images are done, kept beside the masks in `.receipts`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.reading.regions.mosaics import state_of_image
from pixelwise.errors import DataError, ResourceError, RunLockedError
from pixelwise.machine.locks import HeldLock
from pixelwise.prediction.inputs import Input
from pixelwise.prediction.receipts.division import key_of
from pixelwise.storage import printable, write_bytes
from pixelwise.storage.documents import parse_json
from pixelwise.storage.locks import lock_if_free, shared_lock
from pixelwise.storage.stores.members import state_of

RECEIPTS = ".receipts"
"""Folder of the receipts below the output; its name keeps it out of listings of images."""


class Facts(NamedTuple):
    """What the summary of a prediction says of an image beside that it is done.

    Attributes:
        animated: Whether its file holds further frames or pages.
        lost: The reason why its position on the map was not kept; empty if it was, or if there is none.
        remarks: Of a video, code and text of what is to be said of it.
        frames: Number of its frames that were predicted; 0 of an image.
    """

    animated: bool = False
    lost: str = ""
    remarks: tuple[tuple[str, str], ...] = ()
    frames: int = 0


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image whose files are written.

    Attributes:
        state: State of the image file when it was read: size and modification time, or its SHA-256.
        files: What was written, relative to the output -> its state; a folder stands for the files in it.
            Other images can have files of the same name.
        facts: What the summary of a prediction says of it.
    """

    state: str
    files: dict[str, str]
    facts: Facts = Facts()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What is done of a unit.

    Attributes:
        images: Key of an image whose files are written -> what is known of it.
    """

    images: dict[str, Done]


class Ledger:
    """The receipts of one job in an output folder, read and written unit by unit.

    The receipt of a unit is named by its last image. A unit that has more or fewer images than before finds what is
    recorded of them in the receipts that are named by any of its images.

    Args:
        output: The output folder.
        job: Name of the job; None for one that cannot be continued, of which nothing is recorded.
        again: Whether nothing that was done counts.

    Attributes:
        kept: Number of images that `remaining` has left out so far, because they were done before.
        noted: (file, facts) of those of which there is more to say.
    """

    def __init__(self, output: Path, job: str | None, *, again: bool = False) -> None:
        self._output, self._again = output, again
        self._folder = None if job is None else output / RECEIPTS / job
        self._recorded: set[str] = set()
        self._open: dict[str, _OpenUnit] = {}
        self._lock: HeldLock | None = None
        self.kept = 0
        self.noted: list[tuple[str, Facts]] = []

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Context of a prediction: receipts of other jobs are removed, because their files will be overwritten.

        However the block ends, what is done by then is recorded.

        Raises:
            RunLockedError: L701, a process writes to the output with other weights or options.
        """
        receipts = self._output / RECEIPTS
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = shared_lock(self._folder)
        try:
            for other in sorted(receipts.iterdir()) if receipts.is_dir() else ():
                if other != self._folder and not _remove_if_free(other):
                    raise RunLockedError(
                        "L701",
                        f"{printable(self._output)}: another process is writing here, with other weights or options",
                        "wait for it, stop it, or choose another output",
                    )
            if self._folder is not None and not self._again:
                self._recorded = {path.stem for path in self._folder.glob("*.json")}
            yield
        finally:
            # Units are open only after an error, which matters more than one of writing what is done.
            with contextlib.suppress(OSError, ResourceError):
                for unit in list(self._open.values()):
                    self._write(unit)
            if self._lock is not None:
                self._lock.release()
            if self._folder is not None and not any(self._folder.glob("*.json")):
                _remove_if_free(self._folder)
                with contextlib.suppress(OSError):  # it is not empty
                    receipts.rmdir()

    def remaining(self, units: Iterator[Sequence[Input]]) -> Iterator[Input]:
        """The images that are to be predicted; the others are counted in `kept`."""
        for images in units:
            if self._folder is None:
                yield from images
                continue
            unit = _OpenUnit(images)
            unit.done = self._done(unit)
            self.kept += len(unit.done)
            for key, image in zip(unit.states, images, strict=True):
                facts = unit.done[key].facts if key in unit.done else Facts()
                if facts != Facts():
                    self.noted.append((printable(image.path), facts))
            unit.missing = unit.states.keys() - unit.done.keys()
            self._open.update(dict.fromkeys(unit.missing, unit))
            yield from (image for key, image in zip(unit.states, images, strict=True) if key in unit.missing)

    def add(self, image: Input, files: Sequence[str], facts: Facts = Facts()) -> None:  # noqa: B008 (immutable)
        """Note that an image is finished.

        Args:
            image: The image.
            files: What was written, relative to the output; nothing if the image has failed, so that it is tried again
                another time.
            facts: What the summary says of it.
        """
        key = key_of(image)
        unit = self._open.pop(key, None)
        if unit is None:
            return
        unit.missing.discard(key)
        if files and unit.states[key]:
            states = {file: _state(self._output / file, _state_of_output) for file in files}
            unit.done[key] = Done(state=unit.states[key], files=states, facts=facts)
        if not unit.missing:
            self._write(unit)

    def _done(self, unit: _OpenUnit) -> dict[str, Done]:
        """What is done of a unit: recorded, and neither the image nor what was written has changed since."""
        found = {}
        for name in unit.states.keys() & self._recorded:
            for key, one in self._read(name).items():
                if one.state == unit.states.get(key) and all(
                    _state(self._output / file, _state_of_output) == state != "" for file, state in one.files.items()
                ):
                    found[key] = one
        return found

    def _read(self, name: str) -> Mapping[str, Done]:
        path = self._path(name)
        # One that was damaged is made again, like one that is missing.
        with contextlib.suppress(OSError, DataError):
            return parse_json(path.read_bytes(), Receipt, path).images
        return {}

    def _path(self, name: str) -> Path:
        return (self._folder or self._output) / f"{name}.json"

    def _write(self, unit: _OpenUnit) -> None:
        for key in unit.missing:
            self._open.pop(key, None)
        unit.missing = set()
        if unit.done:
            images = {key: unit.done[key] for key in unit.states if key in unit.done}
            write_bytes(self._path(list(unit.states)[-1]), msgspec.json.encode(Receipt(images=images)))


class _OpenUnit:
    """A unit of which images are still to come.

    Attributes:
        states: Key of each image -> its state before it is read: what changes afterwards is not taken for done.
        done: Key -> what is known of an image that is done.
        missing: Keys of the others.
    """

    def __init__(self, images: Sequence[Input]) -> None:
        self.states = {key_of(image): _state(image.path, state_of_image) for image in images}
        self.done: dict[str, Done] = {}
        self.missing: set[str] = set()


def _state(file: Path, state: Callable[[Path], str] = state_of) -> str:
    """The state of a file; empty if it is inaccessible."""
    with contextlib.suppress(OSError):
        return state(file)
    return ""


def _state_of_output(path: Path) -> str:
    """The state of a file that was written, or that of all visible files of a folder in a few bytes."""
    if not path.is_dir():
        return state_of(path)
    total = 0
    for entry in os.scandir(path):
        if not entry.name.startswith("."):
            # Added up, so that the order does not matter and nothing is kept of each.
            named = f"{entry.name} {state_of(Path(entry.path))}".encode("utf-8", "surrogateescape")
            total += int.from_bytes(hashlib.blake2b(named, digest_size=16).digest(), "little")
    return f"{total % (1 << 128):032x}"


def _remove_if_free(job: Path) -> bool:
    """Remove the receipts of a job, unless a process writes them; returns whether none does."""
    with lock_if_free(job) as free:
        if free:
            shutil.rmtree(job, ignore_errors=True)
        return free
