"""The pages' templates, which lie beside this module as `*.html`."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

_BACKTICKS = re.compile(r"`([^`]+)`")


@cache
def templates() -> Environment:
    """The templates of all pages: everything is escaped, and a missing value is an error instead of a gap.

    In them `value is block("Name")` asks for the value's type, which decides how a page's block is drawn, and
    `{{ text | commands }}` sets what stands between backticks as code.
    """
    environment = Environment(
        loader=PackageLoader("pixelwise.reports", "pages"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["commands"] = commands
    environment.tests["block"] = lambda block, kind: type(block).__name__ == kind
    return environment


def commands(text: str) -> Markup:
    """The text for a page: escaped, and `what stands between backticks` as code."""
    return Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))
