"""The explanation of every error code: the sections of docs/errors.md, which the wheel carries."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PACKAGED = Path(__file__).resolve().parents[1] / "errors.md"
"""The copy within the installed package; setup.py puts it there."""
IN_CLONE = Path(__file__).resolve().parents[3] / "docs" / "errors.md"
"""The document itself."""
_HEAD = re.compile(r"^### ([A-Z]\d{3})\s*$", re.M)
_END = re.compile(r"^##? ", re.M)


def explanation_of(code: str) -> str | None:
    """What docs/errors.md says of a code, as Markdown without its heading; None if there is no such code."""
    return _sections().get(code)


def codes() -> list[str]:
    """Every code, in the order of docs/errors.md."""
    return list(_sections())


@cache
def _sections() -> dict[str, str]:
    return read_sections(_document().read_text("utf-8"))


def read_sections(text: str) -> dict[str, str]:
    """Code -> its section, without headings; a section ends at the next heading of any level."""
    pieces = _HEAD.split(text)
    return {code: _END.split(body)[0].strip() for code, body in zip(pieces[1::2], pieces[2::2], strict=True)}


def _document() -> Path:
    return PACKAGED if PACKAGED.is_file() else IN_CLONE
