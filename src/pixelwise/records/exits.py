"""`exit.json`: how processes that were started together ended, because their launcher reports every failure as 1."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.errors import PixelwiseError
from pixelwise.storage import write_bytes
from pixelwise.storage.documents import DocumentError, read_json

EXIT = "exit.json"


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended.

    Attributes:
        exit_code: Exit status of the command.
        code: Code of the error; empty if there was none.
        message: Message of the error.
        help: What to do.
    """

    exit_code: int = 0
    code: str = ""
    message: str = ""
    help: str = ""


def write_exit(run: Path, error: PixelwiseError | None) -> None:
    """Write how a run ended.

    Args:
        run: The run folder.
        error: What ended it; None if it came to its end.
    """
    found = Exit()
    if error is not None:
        found = Exit(exit_code=error.exit_code, code=error.code, message=error.message, help=error.help)
    write_bytes(run / EXIT, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


def remove_exit(run: Path) -> None:
    """Forget how a run ended before."""
    (run / EXIT).unlink(missing_ok=True)


def read_exit(run: Path) -> Exit | None:
    """How a run ended; None if it did not say, as after a kill."""
    try:
        return read_json(run / EXIT, Exit)
    except DocumentError:
        return None
