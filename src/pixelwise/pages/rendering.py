"""The templates of the pages, which share the parts of the reports, and pages as answers to requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pixelwise.errors import PixelwiseError
from pixelwise.pages.assets import address_of
from pixelwise.pages.catalog import Refused
from pixelwise.reports.templates import commands, templates

NOT_KEPT = {"cache-control": "no-store"}
"""Header of answers that browsers do not keep."""
KEPT = {"cache-control": "private, max-age=604800, immutable"}
"""Header of answers whose address changes when what they are made of does."""
_EMPTY = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"/>'


@cache
def environment() -> Environment:
    """The environment of the reports, in which templates of the pages come first."""
    shared = templates()
    loaders = [PackageLoader("pixelwise.pages", "templates"), shared.loader]
    made = shared.overlay(loader=ChoiceLoader([one for one in loaders if one is not None]))
    made.filters["commands"] = commands
    made.filters["breakable"] = breakable
    made.globals["asset"] = address_of
    return made


def breakable(name: str) -> Markup:
    """The name of a folder as HTML, which is broken behind its slashes where there is no room for a line."""
    return Markup("/<wbr>").join(name.split("/"))


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
