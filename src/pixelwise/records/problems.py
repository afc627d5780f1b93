"""`problems.jsonl`: one record per file that was passed over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from pixelwise.storage.atomic import full_disk_explained

PROBLEMS = "problems.jsonl"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be used.

    Attributes:
        file: The file, printable.
        code: Code of the error, which docs/errors.md explains.
        message: What was found against what was expected.
        help: What to do about it.
    """

    file: str
    code: str
    message: str
    help: str


def append_problems(folder: Path, problems: Iterable[Problem]) -> None:
    """Add problems to the file of a folder, which is made by the first one.

    Raises:
        ResourceError: S601, the disk is full.
    """
    lines = [msgspec.json.encode(problem) + b"\n" for problem in problems]
    if not lines:
        return
    path = folder / PROBLEMS
    with full_disk_explained(path), open(path, "ab") as file:
        file.writelines(lines)


def read_problems(folder: Path) -> list[Problem]:
    """The problems that a folder records, in the order in which they were met; empty where it records none."""
    path = folder / PROBLEMS
    return (
        [msgspec.json.decode(line, type=Problem) for line in path.read_bytes().splitlines()] if path.is_file() else []
    )


def clear_problems(folder: Path) -> None:
    """Forget the problems of an earlier run."""
    (folder / PROBLEMS).unlink(missing_ok=True)
