"""`problems.jsonl`: one record per skipped file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from pixelwise.storage.atomic import full_disk_explained
from pixelwise.storage.documents import parse_json, read_document

PROBLEMS = "problems.jsonl"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be used.

    Attributes:
        file: Printable path of the file.
        code: Code of the error, which docs/errors.md explains.
        message: The problem, with the value found and the value expected.
        help: A way to solve the problem.
    """

    file: str
    code: str
    message: str
    help: str


def problems_name(suffix: str = "") -> str:
    """Name of the file of problems of one of several jobs, whose files end in `suffix`."""
    stem, dot, ending = PROBLEMS.partition(".")
    return f"{stem}{suffix}{dot}{ending}"


def append_problems(folder: Path, problems: Iterable[Problem], name: str = PROBLEMS) -> None:
    """Append problems to the file in a folder, which is created with the first one.

    Args:
        folder: The folder.
        problems: The problems.
        name: Name of the file.

    Raises:
        ResourceError: S601, the disk is full.
    """
    lines = [msgspec.json.encode(problem) + b"\n" for problem in problems]
    if not lines:
        return
    path = folder / name
    with full_disk_explained(path), open(path, "ab") as file:
        file.writelines(lines)


def read_problems(folder: Path) -> list[Problem]:
    """The problems recorded in a folder, in the order in which they occurred; empty if there are none.

    Raises:
        DataError: D150, a line is damaged.
    """
    path = folder / PROBLEMS
    return [parse_json(line, Problem, path) for line in read_document(path).splitlines()] if path.is_file() else []


def clear_problems(folder: Path, name: str = PROBLEMS) -> None:
    """Delete the problems recorded by an earlier run."""
    (folder / name).unlink(missing_ok=True)
