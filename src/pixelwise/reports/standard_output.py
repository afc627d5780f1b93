"""Text, TOML and JSON on standard output, in which nothing can control the terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

from pixelwise.errors import harmless
from pixelwise.storage import json_text, printable


def write(text: str) -> None:
    """Write text, which may be TOML, to standard output."""
    sys.stdout.write(harmless(text))


def write_markdown(text: str) -> None:
    """Write Markdown to standard output: formatted on a terminal, as it is elsewhere, so that it can be searched."""
    if not sys.stdout.isatty():
        write(text)
        return
    from rich.markdown import Heading, Markdown

    from pixelwise.reports.terminals import Console

    class Left(Heading):
        """Headings at the left edge without a frame."""

        def __rich_console__(self, console: Any, options: Any) -> Any:
            self.text.stylize("bold")
            yield self.text

    class Plain(Markdown):
        elements: ClassVar[dict[str, Any]] = {**Markdown.elements, "heading_open": Left}

    Console().print(Plain(text))


def write_path(path: Path) -> None:
    """Write the path of a file that was made to standard output."""
    write(f"{printable(path)}\n")


def write_json(value: Any) -> None:
    """Write a value as JSON to standard output."""
    write_json_text(json_text(value))


def write_json_text(text: str) -> None:
    """Write JSON to standard output."""
    sys.stdout.write(harmless_json(text))


def harmless_json(text: str) -> str:
    """The same JSON with harmful characters as escapes, which have four digits in JSON."""
    if harmless(text) == text:
        return text
    return "".join(letter if harmless(letter) == letter else json.dumps(letter)[1:-1] for letter in text)
