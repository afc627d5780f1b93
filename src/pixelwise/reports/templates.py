"""The page templates in `pages/*.html`, and the filters they use."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from pixelwise.errors import harmless

_BACKTICKS = re.compile(r"`([^`]+)`")


@cache
def templates() -> Environment:
    """The templates of all pages: everything is escaped, and a missing value is an error instead of a gap.

    Two additions for templates: the test `value is block("Name")` compares the name of the value's type, and the filter
    `{{ text | commands }}` marks up text in backticks as code.
    """
    environment = Environment(
        loader=PackageLoader("pixelwise.reports", "pages"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        # Marks that turn text around would disguise it on a page too.
        finalize=lambda value: harmless(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["commands"] = commands
    environment.tests["block"] = lambda block, kind: type(block).__name__ == kind
    return environment


def commands(text: str) -> Markup:
    """Escaped text for a page, with `text in backticks` as code."""
    return Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(harmless(text)))))
