"""The terminal or file that a program prints to."""

from __future__ import annotations

import io
import sys


def print_anything() -> None:
    r"""Let standard output and error take every text.

    A character that their encoding lacks (Windows's is often cp1252) is then printed as an escape, `\u5199`, instead
    of ending the program.
    """
    for stream in (sys.stdout, sys.stderr):
        # None without a console; a notebook's stream has no encoding to change.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
