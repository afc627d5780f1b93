"""The page of a run while it is trained, its events, and its pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pixelwise.pages.catalog import Catalog, Entry
from pixelwise.pages.live.following import FRAGMENTS
from pixelwise.pages.live.standing import UnderWay, under_way
from pixelwise.pages.live.streams import Streams
from pixelwise.pages.rendering import NOT_KEPT, guarded, html
from pixelwise.records.run_folder import is_run


class LiveSite:
    """What the live pages are made of.

    Args:
        catalog: The runs.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.streams = Streams(catalog.holds)

    def routes(self) -> list[Route]:
        """The addresses of the live pages."""
        return [
            Route("/live/{id}", partial(guarded, self, _page)),
            Route("/live/{id}/events", partial(_events, self)),
            Route("/live/{id}/picture/{name}", partial(guarded, self, _picture)),
        ]

    def under_way(self, entries: Sequence[Entry]) -> list[UnderWay]:
        """The runs that are being trained, or have begun and came to no result."""
        return under_way([one for one in entries if self.catalog.holds(one.run)], time.time())

    def entry(self, id: str) -> Entry:
        """The entry of an id.

        Raises:
            HTTPException: 404, there is none, or it is no run.
        """
        entry = self.catalog.entry(id)
        if entry is None or not is_run(entry.run):
            raise HTTPException(404)
        return entry


def _page(site: LiveSite, request: Request) -> Response:
    entry = site.entry(request.path_params["id"])
    shown = site.streams.channel(entry.run).follower.look()
    pictures = shown.moments
    latest = pictures.moments[-1] if pictures.moments else None
    return html(
        "live_run.html",
        entry=entry,
        fragments={name: Markup(shown.fragments[name]) for name in FRAGMENTS},
        images=list(zip(pictures.images, latest.layers, strict=True)) if latest is not None else [],
        step=latest.step if latest is not None else 0,
        split=pictures.split,
        legend=shown.classes,
        said=shown.said,
    )


def _picture(site: LiveSite, request: Request) -> Response:
    entry = site.entry(request.path_params["id"])
    found = site.streams.channel(entry.run).follower.picture(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return Response(found.read_bytes(), media_type="image/webp", headers=NOT_KEPT)


async def _events(site: LiveSite, request: Request) -> Response:
    entry = await asyncio.to_thread(site.entry, request.path_params["id"])
    if site.streams.full:
        return PlainTextResponse("Too many live pages are open.", 503, {**NOT_KEPT, "retry-after": "30"})
    kind = "text/event-stream; charset=utf-8"
    if request.method == "HEAD":
        return Response(media_type=kind, headers=NOT_KEPT)
    # A page that opens a new connection, as after a pause, names its last event in the address.
    after = request.headers.get("last-event-id", request.query_params.get("after", ""))
    return StreamingResponse(site.streams.events(entry.run, after), media_type=kind, headers=NOT_KEPT)
