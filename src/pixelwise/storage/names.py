"""File names as text that can be printed, logged and put into JSON."""

from __future__ import annotations

import os


def printable(name: str | os.PathLike[str]) -> str:
    r"""The name with undecodable bytes and control characters escaped: `b\\xff.png`, `a\\n.png`."""
    text = os.fspath(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
