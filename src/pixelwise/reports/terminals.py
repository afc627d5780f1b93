"""A console that text from files of others can neither control nor decorate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from pixelwise.errors import harmless


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
