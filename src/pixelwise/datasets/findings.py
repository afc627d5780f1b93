"""Findings: what is wrong or odd with a data set is collected instead of raised, so that all of it is listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from pixelwise.errors import DataError

NAMED_FILES = 5
"""A finding lists at most this many files and counts the rest."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of problem and the files that have it.

    Attributes:
        code: `D...` or `W...`; `docs/errors.md` explains each.
        severity: An `error` stops training unless its code is in `data.allow`.
        message: What was found against what was expected; names the first file.
        files: The first five files, printable.
        total: How many files there are.
        fix: What to do: one sentence, a command or an override.
        split: The only split that has it; empty: it is not known of one split alone.
    """

    code: str
    severity: Literal["error", "warning"]
    message: str
    files: tuple[str, ...] = ()
    total: int = 0
    fix: str = ""
    split: str = ""


def finding(code: str, message: str, files: Sequence[str] = (), fix: str = "") -> Finding:
    """A `Finding` about `files`; codes that start with W are warnings, all others errors."""
    return Finding(
        code=code,
        severity="warning" if code.startswith("W") else "error",
        message=message,
        files=tuple(files[:NAMED_FILES]),
        total=len(files),
        fix=fix,
    )


def finding_of(error: DataError, file: str) -> Finding:
    """The finding that says what a raised `error` about one file says."""
    return finding(error.code, error.message, [file], error.help)
