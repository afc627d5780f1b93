"""The files that pages load beside pictures: scripts, styles, icon. Browsers keep each until its content changes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pixelwise.reports.templates import source
from pixelwise.storage import sha256_bytes

STATIC = {
    "icon.svg": "image/svg+xml",
    "pages.js": "text/javascript",
    "deep.js": "text/javascript",
    "fix.js": "text/javascript",
    "live.js": "text/javascript",
    "try.js": "text/javascript",
    "vendored/htmx.min.js": "text/javascript",
    "vendored/uPlot.min.js": "text/javascript",
    "vendored/uPlot.min.css": "text/css",
}
"""Files of the package -> their media types."""
_STYLES = ("report_style.html", "report_atlas_style.html", "report_confidence_style.html")
"""Style sheets of the reports that the pages have too."""
_OWN_STYLES = ("pages.css", "data.css", "deep.css", "fix.css")


class Asset(NamedTuple):
    """A file that pages load.

    Attributes:
        content: Its bytes.
        media_type: Its media type.
        version: Changes with the content.
    """

    content: bytes
    media_type: str
    version: str


@cache
def asset(name: str) -> Asset:
    """A file by its name.

    Raises:
        KeyError: There is no such file.
    """
    match name:
        case "style.css":
            content, media_type = style().encode(), "text/css"
        case "live.css":
            content, media_type = live_style().encode(), "text/css"
        case _:
            media_type = STATIC[name]
            content = files("pixelwise.pages").joinpath("static", *name.split("/")).read_bytes()
    return Asset(content, media_type, sha256_bytes(content)[:12])


def address_of(name: str) -> str:
    """The address of a file, which changes with its content."""
    return f"/static/{name}?v={asset(name).version}"


def style() -> str:
    """The style sheet of all pages.

    The content security policy allows no `style` attributes, so a share is one of 101 classes: `part-57` sets
    `--part` to 57 %.
    """
    parts = [f".part-{number} {{ --part: {number}%; }}" for number in range(101)]
    return "\n".join([*map(source, _STYLES), *parts, *map(_own, _OWN_STYLES)])


def live_style() -> str:
    """The style sheet of the pages of runs that are being trained, on top of `style`."""
    return f"{source('live_style.html')}\n{_own('live.css')}"


def _own(name: str) -> str:
    return files("pixelwise.pages").joinpath("static", name).read_text("utf-8")
