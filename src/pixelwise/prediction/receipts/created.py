"""Receipts of units of work in an output, each written once by whoever was first.

Workers know nothing of each other, and some die. A unit may therefore be done more than once, but of several workers
exactly one writes its receipt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from pixelwise.errors import DataError
from pixelwise.storage.documents import parse_json
from pixelwise.storage.stores.outputs import answering, output_store

RECEIPTS, ATTEMPTS = "receipts", "attempts"
"""Folders of the output."""
PATIENCE = 2
"""Number of attempts at a unit after which it is done carefully: workers die of one of its images, perhaps."""
_MOST_ATTEMPTS = 20

Kind = TypeVar("Kind", bound=msgspec.Struct)


class CreatedReceipts(Generic[Kind]):
    """The receipts of one job in an output.

    Args:
        output: Folder or address of the output.
        job: Name of the job.
        kind: Type of the receipts.

    Attributes:
        store: The store of the output.
    """

    def __init__(self, output: Path, job: str, kind: type[Kind]) -> None:
        self.output, self.store, self.job = output, output_store(output), job
        self._kind = kind

    def done(self) -> set[str]:
        """Names of the units that have a receipt.

        Raises:
            ResourceError: S611, the output cannot be read.
        """
        with self.answering():
            names = self.store.names(f"{RECEIPTS}/{self.job}")
        return {Path(name).stem for name in names if name.endswith(".json")}

    def receipt(self, unit: str) -> Kind | None:
        """The receipt of a unit; None if there is none, or one that was damaged, which is removed.

        Raises:
            ResourceError: S611, the output cannot be read.
        """
        name = self._name(unit)
        with self.answering():
            try:
                content = self.content(name)
            except FileNotFoundError:
                return None
            try:
                return parse_json(content, self._kind, self.output / name)
            except DataError:
                self.store.remove(name)
                return None

    def create(self, unit: str, receipt: Kind) -> bool:
        """Write the receipt of a unit, unless another worker was first; returns whether it was written.

        Raises:
            ResourceError: S601, the disk is full; S611, the output cannot be written.
        """
        with self.answering():
            return self.store.create(self._name(unit), msgspec.json.encode(receipt))

    def attempt(self, unit: str) -> int:
        """Note that a unit is begun; returns how often it was begun by now, without anybody finishing it.

        Raises:
            ResourceError: S601, the disk is full; S611, the output cannot be written.
        """
        with self.answering():
            for number in range(1, _MOST_ATTEMPTS):
                if self.store.create(self._note(unit, number), b""):
                    return number
        return _MOST_ATTEMPTS

    def forget_attempts(self, unit: str, number: int) -> None:
        """Remove the notes of so many attempts at a unit.

        Raises:
            ResourceError: S611, the output cannot be written.
        """
        with self.answering():
            for one in range(1, number + 1):
                self.store.remove(self._note(unit, one))

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Context of requests to the output.

        Raises:
            ResourceError: S611, it cannot be read or written.
        """
        with answering(self.output):
            yield

    def content(self, name: str) -> bytes:
        """The content of a file of the output.

        Raises:
            OSError: There is no such file, or it cannot be read.
        """
        return self.store.read(name, 0, self.store.size(name))

    def _name(self, unit: str) -> str:
        return f"{RECEIPTS}/{self.job}/{unit}.json"

    def _note(self, unit: str, number: int) -> str:
        return f"{ATTEMPTS}/{self.job}/{unit}.{number}"
