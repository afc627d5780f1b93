"""The application: the addresses of the pages, each of which is useful alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pixelwise.pages import pareto
from pixelwise.pages.access import App, Guard
from pixelwise.pages.assets import asset
from pixelwise.pages.board import board_of
from pixelwise.pages.catalog import Catalog
from pixelwise.pages.evaluated import Gallery
from pixelwise.pages.fixing import views as fixing
from pixelwise.pages.fixing.collection import Collection
from pixelwise.pages.labels.shelf import Shelf
from pixelwise.pages.labels.tiles import Tiles
from pixelwise.pages.labels.views import routes as data_routes
from pixelwise.pages.large.views import LargeImages
from pixelwise.pages.live.views import LiveSite
from pixelwise.pages.networks.costs import Costs
from pixelwise.pages.networks.work import Networks
from pixelwise.pages.rendering import KEPT, NOT_KEPT, guarded, html
from pixelwise.pages.separated.background import Separations
from pixelwise.pages.state import AXES, COLUMNS, RISING, state_of
from pixelwise.pages.trying import views as trying
from pixelwise.pages.trying.models import Models
from pixelwise.pages.views import routes as result_routes
from pixelwise.storage import printable


class Site:
    """What the pages are made of.

    Args:
        folders: Folders of runs, and of data that may be shown.
        data: Data sets that have pages of their own, and whose images may be shown.
        edit: Whether the masks of those that are folders may be changed.
    """

    def __init__(self, folders: Sequence[Path], data: Sequence[Path] = (), edit: bool = False) -> None:
        self.folders = ", ".join(map(printable, folders))
        self.catalog = Catalog(folders, data)
        self.shelf = Shelf(data, self.catalog)
        self.networks = Networks(self.catalog)
        self.gallery, self.tiles = Gallery(self.catalog, self.networks.shown), Tiles()
        self.large = LargeImages(self.catalog, self.gallery, self.networks, self.tiles)
        self.costs = Costs(self.networks.cost)
        self.separations = Separations()
        self.live = LiveSite(self.catalog)
        self.collection, self.edit = Collection(data), edit
        self.models = Models(self.catalog)

    def close(self) -> None:
        """End the processes that work for the pages."""
        self.networks.close()
        self.models.close()
        self.large.wholes.close()


def application(
    folders: Sequence[Path],
    token: str,
    cookie: str = "pixelwise",
    data: Sequence[Path] = (),
    site: Site | None = None,
    edit: bool = False,
) -> App:
    """The pages as an ASGI application.

    Args:
        folders: Folders of runs, and of data that may be shown.
        token: The token that browsers have to bring.
        cookie: Name of the cookie that holds it.
        data: Data sets that have pages of their own; they begin to be opened at once.
        site: What the pages are made of, for a server that ends their events when it ends itself; None to make it.
        edit: Whether the masks of the data sets may be changed; it is part of a `site` that is given.
    """
    site = site or Site(folders, data, edit)
    site.shelf.open()
    every = [
        Route("/", lambda _: RedirectResponse("/runs")),
        Route("/runs", partial(guarded, site, _runs)),
        *data_routes(site.shelf, site.catalog, site.collection, site.tiles),
        *result_routes(site.catalog, site.gallery, site.large),
        *fixing.routes(fixing.Site(site.collection, site.catalog, site.edit, site.networks, site.shelf.outdate)),
        *site.live.routes(),
        *trying.routes(site.models),
        Route("/static/{name:path}", _static),
    ]
    writable = fixing.WRITABLE if site.edit else None
    return Guard(Starlette(routes=every, exception_handlers={404: _not_found}), token, cookie, writable)


def _not_found(request: Request, _: Exception) -> Response:
    return html("message.html", 404, title="Nothing here", message="No page has this address.", help="")


def _runs(site: Site, request: Request) -> Response:
    entries = site.catalog.entries()
    state = state_of(request.query_params.multi_items(), (entry.id for entry in entries))
    board = board_of(site.catalog, entries, site.costs, state, site.separations)
    under_way = site.live.under_way(entries)
    listed = {one.id for one in under_way}
    board = board._replace(unscored=[entry for entry in board.unscored if entry.id not in listed])
    return html(
        "runs.html",
        under_way=under_way,
        board=board,
        state=state,
        folders=site.folders,
        pending=site.costs.pending,
        drawing=site.separations.pending,
        columns=COLUMNS,
        rising=RISING,
        axes=AXES,
        frame=(pareto.WIDTH, pareto.HEIGHT),
        margins=(pareto.LEFT, pareto.RIGHT, pareto.TOP, pareto.BOTTOM),
    )


def _static(request: Request) -> Response:
    try:
        found = asset(request.path_params["name"])
    except KeyError as error:
        return _not_found(request, error)
    kept = KEPT if request.query_params.get("v") == found.version else NOT_KEPT
    return Response(found.content, media_type=found.media_type, headers=kept)
