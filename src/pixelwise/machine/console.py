"""Standard output and standard error."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO


def print_anything() -> None:
    r"""Make standard output and standard error accept any text.

    A character that their encoding lacks (on Windows often cp1252) is then printed as an escape such as `\u5199`
    instead of raising UnicodeEncodeError.
    """
    for stream in (sys.stdout, sys.stderr):
        # The streams are None without a console, and a notebook's streams have no encoding to change.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def without_native_stderr() -> Iterator[None]:
    """Context in which what native code writes to standard error is lost; for short calls, since it is lost everywhere.

    Libraries without a switch for their notices write them to the descriptor itself, past `sys.stderr`.
    """
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


def on_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; False for a stream that is missing or closed."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
