"""The templates of the pages, which share the parts of the reports."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader

from pixelwise.reports.templates import commands, source, templates

_STYLES = ("report_style.html", "report_atlas_style.html", "report_confidence_style.html")
"""Style sheets of the reports that the pages have too."""


@cache
def environment() -> Environment:
    """The environment of the reports, in which templates of the pages come first."""
    shared = templates()
    loaders = [PackageLoader("pixelwise.pages", "templates"), shared.loader]
    made = shared.overlay(loader=ChoiceLoader([one for one in loaders if one is not None]))
    made.filters["commands"] = commands
    return made


def page(template: str, **values: Any) -> str:
    """A page as HTML.

    Args:
        template: Name of its template.
        values: What the template shows; text of files and users is escaped.
    """
    return environment().get_template(template).render(**values)


@cache
def style() -> str:
    """The style sheet of all pages.

    The content security policy allows no `style` attributes, so a share is one of 101 classes: `part-57` sets
    `--part` to 57 %.
    """
    parts = [f".part-{number} {{ --part: {number}%; }}" for number in range(101)]
    own = files("pixelwise.pages").joinpath("static", "pages.css").read_text("utf-8")
    return "\n".join([*map(source, _STYLES), *parts, own])


@cache
def live_style() -> str:
    """The style sheet of the pages of runs that are being trained, on top of `style`."""
    own = files("pixelwise.pages").joinpath("static", "live.css").read_text("utf-8")
    return f"{source('live_style.html')}\n{own}"
