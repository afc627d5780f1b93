"""The receipts of an evaluation: one for each unit, with everything that its images add to the result."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.evaluation.shards.states import Counted
from pixelwise.prediction.receipts.created import ATTEMPTS, RECEIPTS, CreatedReceipts
from pixelwise.records.problems import Problem

BAD = "problems"
"""Folder of the output for units with images that cannot be scored."""


class ScoredUnit(msgspec.Struct, frozen=True, kw_only=True):
    """What is found of a unit all of whose images were scored.

    Attributes:
        unit: Name of the unit.
        counted: The counts under each protocol.
        thumbnails: Names and contents of small pictures; empty if no report shows any.
        seconds: Time that the worker took.
        peak_memory_bytes: Peak memory of the GPU during the unit, or of the process so far.
    """

    unit: str
    counted: tuple[Counted, ...]
    thumbnails: tuple[tuple[str, bytes], ...] = ()
    seconds: float
    peak_memory_bytes: int


class BadUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit with images that cannot be scored: it is not done, and the next call scores it again.

    Attributes:
        unit: Name of the unit.
        images: Number of its images.
        problems: The errors of the bad ones.
    """

    unit: str
    images: int
    problems: tuple[Problem, ...]


class Receipts(CreatedReceipts[ScoredUnit]):
    """The receipts of one evaluation in an output.

    Args:
        output: Folder or address of the output.
        job: Name of the evaluation.
    """

    def __init__(self, output: Path, job: str) -> None:
        super().__init__(output, job, ScoredUnit)

    def commit(self, found: ScoredUnit, attempts: int) -> ScoredUnit:
        """Write the receipt of a unit, unless another worker was first.

        Args:
            found: What was found.
            attempts: How often the unit was begun; the notes of this are removed.

        Returns:
            The receipt that counts.

        Raises:
            ResourceError: S601, the disk is full; S611, the output cannot be written.
        """
        while not self.create(found.unit, found):
            first = self.receipt(found.unit)  # None if it was damaged
            if first is not None:
                return first
        self.forget_attempts(found.unit, attempts)
        with self.answering():
            self.store.remove(self._bad_name(found.unit))
        return found

    def note_bad(self, found: BadUnit, attempts: int) -> BadUnit:
        """List the images of a unit that cannot be scored, in place of a receipt.

        Args:
            found: What was found.
            attempts: How often the unit was begun. The notes of this stay if an image ends the process, so that the
                unit is scored carefully from now on.

        Raises:
            ResourceError: S601, the disk is full; S611, the output cannot be written.
        """
        with self.answering():
            self.store.put(self._bad_name(found.unit), msgspec.json.encode(found))
        if not any(problem.code == "D136" for problem in found.problems):
            self.forget_attempts(found.unit, attempts)
        return found

    def tidy(self, units: set[str]) -> None:
        """Remove what nothing refers to once everything is done: receipts of images that have changed since, and notes.

        Args:
            units: Names of all units.

        Raises:
            ResourceError: S611, the output cannot be written.
        """
        with self.answering():
            for name in self.store.names(f"{RECEIPTS}/{self.job}"):
                if name.endswith(".json") and Path(name).stem not in units:
                    self.store.remove(name)
            for folder in (ATTEMPTS, BAD):
                for name in self.store.names(f"{folder}/{self.job}"):
                    self.store.remove(name)

    def _bad_name(self, unit: str) -> str:
        return f"{BAD}/{self.job}/{unit}.json"
