"""The page templates in `pages/*.html`, and the filters they use."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from pixelwise.errors import harmless
from pixelwise.reports.standard_output import harmless_json

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


def source(name: str) -> str:
    """The text of a file in `pages/`, as it is."""
    environment = templates()
    loader = environment.loader
    if loader is None:
        raise AssertionError("the environment is made with a loader")
    return loader.get_source(environment, name)[0]


def script_hash(script: str) -> str:
    """Hash by which a content security policy allows this one script: the text within its element."""
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def script_data(value: Any) -> Markup:
    """A value as JSON that is safe inside a `<script>` element: without any `<`, and without what turns text around."""
    return Markup(harmless_json(msgspec.json.encode(value).decode()).replace("<", "\\u003c"))
