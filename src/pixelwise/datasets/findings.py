"""Findings: problems of a data set, collected instead of raised so that all of them are listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from pixelwise.errors import DataError

NAMED_FILES = 5
"""A finding lists at most this many files and counts the rest."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of problem and the files that have it.

    Attributes:
        code: Error code `D...` or warning code `W...`, explained in `docs/errors.md`.
        severity: An `error` stops training unless its code is in `data.allow`.
        message: Description of the problem, found against expected; names the first file.
        files: The first five affected files, printable.
        total: Number of affected files.
        fix: Suggested fix: one sentence, a command or an override.
        split: The only affected split; empty if the finding is not about a single split.
    """

    code: str
    severity: Literal["error", "warning"]
    message: str
    files: tuple[str, ...] = ()
    total: int = 0
    fix: str = ""
    split: str = ""

    @property
    def with_fix(self) -> str:
        """The message and the suggested fix, for those who see nothing else of it."""
        return f"{self.message}; {self.fix}" if self.fix else self.message


def finding(code: str, message: str, files: Sequence[str] = (), fix: str = "", *, total: int | None = None) -> Finding:
    """A `Finding` about `files`; codes that start with W are warnings, all others errors.

    Args:
        code: Code of the error or warning.
        message: See `Finding`.
        files: Affected files, of which the first are listed.
        fix: See `Finding`.
        total: Number of affected files if `files` are only the first of them.
    """
    return Finding(
        code=code,
        severity="warning" if code.startswith("W") else "error",
        message=message,
        files=tuple(files[:NAMED_FILES]),
        total=len(files) if total is None else total,
        fix=fix,
    )


class Affected:
    """The files of a finding, counted one after the other; only the first names are kept.

    Attributes:
        number: Number of files.
        first: Names of the first `NAMED_FILES` of them.
    """

    def __init__(self) -> None:
        self.number = 0
        self.first: list[str] = []

    def add(self, name: Callable[[], str]) -> None:
        """Count a file; `name` is called only if the name is kept."""
        self.number += 1
        if len(self.first) < NAMED_FILES:
            self.first.append(name())


def finding_of(error: DataError, file: str) -> Finding:
    """The finding with the code, message and fix of an error about one file."""
    return finding(error.code, error.message, [file], error.help)
