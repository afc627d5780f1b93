"""The commands that the pages of the documentation show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
_BLOCK = re.compile(r"^```(?:sh|bash|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """A line of a page's block of commands."""

    page: str
    line: str


def shown(page: Path) -> list[str]:
    """The lines of a page's blocks of commands, those that go on behind a backslash joined."""
    blocks = _BLOCK.findall(page.read_text("utf-8"))
    return [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.strip()]


def commands() -> list[Command]:
    """The calls of `pixelwise` on all pages."""
    return [
        Command(page.relative_to(ROOT).as_posix(), line.strip())
        for page in PAGES
        for line in shown(page)
        if re.match(r"\s*(\S*/)?pixelwise ", line)
    ]
