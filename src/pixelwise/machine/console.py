"""Standard output and standard error."""

from __future__ import annotations

import io
import sys


def print_anything() -> None:
    r"""Make standard output and standard error accept any text.

    A character that their encoding lacks (on Windows often cp1252) is then printed as an escape such as `\u5199`
    instead of raising UnicodeEncodeError.
    """
    for stream in (sys.stdout, sys.stderr):
        # The streams are None without a console, and a notebook's streams have no encoding to change.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
