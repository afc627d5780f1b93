"""What is shown of a recipe in a notebook: the fields that it sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pixelwise.views import html_table

_TEXTS = ("name", "summary", "notes")
_LONGEST = 100
"""Characters of a value, such as a long list of classes, that are shown."""


def recipe_html(name: str, summary: str, plain: Mapping[str, Any]) -> str:
    """A table of the fields that differ from their defaults.

    Args:
        name: Name of the recipe.
        summary: What it is, in one line.
        plain: The plain recipe without values that equal their defaults.
    """
    rows = [(path, value) for path, value in _values(plain, "") if path not in _TEXTS]
    title = f"{name}: {summary}" if summary else name
    return html_table(("field", "value"), rows, title=title, prose=True)


def _values(plain: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in plain.items():
        if isinstance(value, Mapping):
            yield from _values(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _shown(value)


def _shown(value: Any) -> str:
    text = str(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
