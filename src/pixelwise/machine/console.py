"""Standard output and standard error."""

from __future__ import annotations

import io
import sys
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
