"""A console that text from files of others can neither control nor decorate."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from pixelwise.errors import harmless

_QUOTED = re.compile(r"'[^']*'|`[^`]*`|\[[^\]]*\]")
"""What is copied in one piece: settings, commands, lists of values."""
_HELD = "\0"
"""Stands for a blank at which no line ends."""
_COMMAND = "pixelwise "
"""A line with a command is left as it is: in two lines, it would be another one."""


class Console(RichConsole):
    """A console that takes no markup from text, and escapes control characters in all of it.

    Styles are given as `style` or by `Text`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Text from a string; escaped first, because columns are as wide as what is shown."""
        return super().render_str(harmless(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of anything that can be printed."""
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else harmless(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)

    def say(self, text: str, *, behind: int = 0, indent: int = 4) -> None:
        """Print a sentence: on a terminal in lines that end between words, anywhere else in one line.

        Args:
            text: What is printed, without markup. What stands in quotation marks stays together.
            behind: Number of characters that the line has already.
            indent: Number of blanks before every line but the first.
        """
        lines = [text]
        if self.is_terminal and _COMMAND not in text:
            held = _QUOTED.sub(lambda found: found[0].replace(" ", _HELD), harmless(text))
            blanks = len(held) - len(held.lstrip(" "))
            lines = textwrap.wrap(
                held.lstrip(" "),
                self.width,
                initial_indent=" " * (behind + blanks),
                subsequent_indent=" " * indent,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [""]
            lines = [lines[0][behind:], *lines[1:]]
        self.print("\n".join(lines).replace(_HELD, " "), markup=False, highlight=False, soft_wrap=True)
