"""The templates of the pages, which share the parts of the reports, and pages as answers to requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pixelwise.errors import PixelwiseError
from pixelwise.pages.catalog import Refused
from pixelwise.reports.templates import commands, source, templates

NOT_KEPT = {"cache-control": "no-store"}
"""Header of answers that browsers do not keep."""
_EMPTY = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"/>'
_STYLES = ("report_style.html", "report_atlas_style.html", "report_confidence_style.html")
"""Style sheets of the reports that the pages have too."""
_OWN_STYLES = ("pages.css", "data.css", "fix.css")


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


def html(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """A page, which browsers do not keep: it shows files that change."""
    return HTMLResponse(page(template, **values), status, NOT_KEPT)


def no_picture() -> Response:
    """The picture of an image of which none can be made, or none is kept."""
    return Response(_EMPTY, media_type="image/svg+xml", headers=NOT_KEPT)


def guarded(site: Any, view: Callable[[Any, Request], Response], request: Request) -> Response:
    """An answer; an error of Pixelwise, which is one of files, becomes a page with its message and the way out."""
    try:
        return view(site, request)
    except PixelwiseError as error:
        return html("message.html", 422, title=error.code, message=error.message, help=error.help)
    except (Refused, IndexError) as error:
        raise HTTPException(404) from error


@cache
def style() -> str:
    """The style sheet of all pages.

    The content security policy allows no `style` attributes, so a share is one of 101 classes: `part-57` sets
    `--part` to 57 %.
    """
    parts = [f".part-{number} {{ --part: {number}%; }}" for number in range(101)]
    own = [files("pixelwise.pages").joinpath("static", name).read_text("utf-8") for name in _OWN_STYLES]
    return "\n".join([*map(source, _STYLES), *parts, *own])


@cache
def live_style() -> str:
    """The style sheet of the pages of runs that are being trained, on top of `style`."""
    own = files("pixelwise.pages").joinpath("static", "live.css").read_text("utf-8")
    return f"{source('live_style.html')}\n{own}"
