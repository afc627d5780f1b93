"""The answers to requests for pages of data sets: ids and numbers of an address become what they name, or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pixelwise.datasets.auditing.examination import examine
from pixelwise.datasets.findings import Finding, finding_of
from pixelwise.datasets.fingerprint import HashCache
from pixelwise.datasets.reading.regions.images import large_image
from pixelwise.datasets.reading.regions.pairs import is_in_parts
from pixelwise.errors import DataError, PixelwiseError
from pixelwise.pages.catalog import Catalog, Refused
from pixelwise.pages.fixing.collection import Collection
from pixelwise.pages.labels import data_pages
from pixelwise.pages.labels.filters import Filter, filter_of
from pixelwise.pages.labels.mistakes import doubts_of
from pixelwise.pages.labels.pictures import LARGE, SMALL, WINDOW, Picture, Pictures, fitted, labels_png, photo_jpeg
from pixelwise.pages.labels.shelf import Shelf
from pixelwise.pages.labels.survey import Opened, Survey
from pixelwise.pages.labels.tiles import MOST_PIXELS, Place, Tiles, halvings_of
from pixelwise.pages.newest import Newest
from pixelwise.pages.rendering import KEPT, NOT_KEPT, guarded, html, no_picture
from pixelwise.recipes.sizes import Size

_EXAMINED = 256
_MOST_EXAMINED = 1 << 24
"""Pixels of an image that is examined when its page is opened; larger ones are by the examination of all."""


class Site(NamedTuple):
    """What the pages of data sets are made of."""

    shelf: Shelf
    catalog: Catalog
    editable: Collection
    pictures: Pictures
    tiles: Tiles
    examined: Newest[list[Finding]]


class Asked(NamedTuple):
    """A data set that an address names, what is known of it, and the filter of the address."""

    survey: Survey
    opened: Opened
    wanted: Filter


View = Callable[[Site, Request], Response]
PageView = Callable[[Site, Request, Asked], Response]


def routes(shelf: Shelf, catalog: Catalog, editable: Collection, tiles: Tiles) -> list[Route]:
    """The addresses of the pages of data sets.

    Args:
        shelf: The data sets.
        catalog: The runs whose results tell label mistakes.
        editable: The data folders whose images the label editor knows.
        tiles: Reads large images.
    """
    site = Site(shelf, catalog, editable, Pictures(shelf.holds), tiles, Newest(_EXAMINED))
    views: dict[str, PageView] = {
        "/data/{id}": _grid,
        "/data/{id}/duplicates": _duplicates,
        "/data/{id}/mistakes": _mistakes,
        "/data/{id}/image/{row:int}": _image,
        "/data/{id}/image/{row:int}/{layer}": partial(_layer, LARGE),
        "/data/{id}/image/{row:int}/{layer}/{halvings:int}-{down:int}-{right:int}": _tile,
        "/data/{id}/thumbnail/{row:int}/{layer}": partial(_layer, SMALL),
        "/data/{id}/region/{row:int}/{box}": _region,
    }
    pages = [Route(path, partial(guarded, site, partial(_opened, view))) for path, view in views.items()]
    return [Route("/data", partial(guarded, site, _all)), *pages]


def _all(site: Site, request: Request) -> Response:
    surveys = list(site.shelf.surveys.values())
    if len(surveys) == 1:
        return RedirectResponse(f"/data/{surveys[0].id}")
    return html("data.html", surveys=[(survey, survey.standing) for survey in surveys])


def _opened(view: PageView, site: Site, request: Request) -> Response:
    """The answer of a view; a page that is asked for again while the data set is being opened."""
    survey = site.shelf.surveys.get(request.path_params["id"])
    if survey is None:
        raise HTTPException(404)
    opened = survey.opened()
    if opened is None:
        query = request.url.query
        return html("data_opening.html", survey=survey, address=f"{request.url.path}{'?' if query else ''}{query}")
    return view(site, request, Asked(survey, opened, filter_of(request.query_params, opened.columns)))


def _grid(site: Site, request: Request, asked: Asked) -> Response:
    folder = site.editable.at(asked.survey.path) if asked.opened.unlabelled else None
    return html("data_grid.html", fix=folder and folder.id, **data_pages.grid_values(*asked))


def _duplicates(site: Site, request: Request, asked: Asked) -> Response:
    kind = request.query_params.get("kind", "")
    return html("data_duplicates.html", **data_pages.duplicates_values(*asked, kind))


def _mistakes(site: Site, request: Request, asked: Asked) -> Response:
    doubts = doubts_of(asked.survey, asked.opened.columns, site.catalog)
    entry = request.query_params.get("result", "")
    return html("data_mistakes.html", **data_pages.mistakes_values(*asked, doubts, entry))


def _image(site: Site, request: Request, asked: Asked) -> Response:
    row, opened = request.path_params["row"], asked.opened
    values: dict[str, Any] = data_pages.image_values(*asked, row)
    large, large_reason = _tried(partial(_large, site, opened, row))
    if large is None and not large_reason:
        photo, reason = _tried(partial(_picture, site, request, opened, "photo", LARGE))
        labels, labels_reason = _tried(partial(_picture, site, request, opened, "labels", LARGE))
    else:
        photo, reason = large, large_reason
        labels, labels_reason = _tried(partial(_large, site, opened, row, "labels"))
    values |= {
        "photo": photo,
        "labels": labels,
        "reasons": [one for one in (reason, labels_reason) if one],
        "moves": [] if photo is None else _moves(photo),
        "corner": _corner(request),
        "findings": _findings(site, asked, row, whole=photo is None or math.prod(photo.whole) <= _MOST_EXAMINED),
        "box": _box(request.query_params.get("box", "")),
        "tiled": photo is not None and _is_tiled(photo),
        "halvings": 0 if photo is None else halvings_of(photo.whole),
    }
    edited = site.editable.address(asked.survey.path, *opened.columns.place(row))
    return html("data_image.html", edited=edited, **values)


def _layer(longest: int, site: Site, request: Request, asked: Asked) -> Response:
    layer = request.path_params["layer"]
    if layer not in ("photo", "labels"):
        raise HTTPException(404)
    try:
        picture = _picture(site, request, asked.opened, layer, longest)
    except (DataError, Refused):
        return no_picture()
    _, sample = asked.opened.columns.place(request.path_params["row"])
    kept = KEPT if request.query_params.get("v") == data_pages.stamp_of(sample) else NOT_KEPT
    return Response(picture.content, media_type="image/jpeg" if layer == "photo" else "image/png", headers=kept)


def _tile(site: Site, request: Request, asked: Asked) -> Response:
    parameters, opened = request.path_params, asked.opened
    layer, place = parameters["layer"], Place(*(parameters[name] for name in ("halvings", "down", "right")))
    _, sample = opened.columns.place(parameters["row"])
    files = [sample.image_path] if layer == "photo" else list(sample.mask_files)
    if layer not in ("photo", "labels") or not files:
        raise HTTPException(404)
    try:
        site.pictures.require(files)
        pixels = site.tiles.tile(opened.dataset, sample, layer, place)
    except (DataError, Refused) as error:
        raise HTTPException(404) from error
    if pixels is None:
        raise HTTPException(404)
    kept = KEPT if request.query_params.get("v") == data_pages.stamp_of(sample) else NOT_KEPT
    if layer == "photo":
        return Response(photo_jpeg(pixels), media_type="image/jpeg", headers=kept)
    return Response(labels_png(pixels, opened.dataset.palette), media_type="image/png", headers=kept)


def _is_tiled(photo: Picture) -> bool:
    """Whether more of an image can be seen in tiles than in its picture."""
    height, width = photo.whole
    return max(height, width) > LARGE and height * width <= MOST_PIXELS


def _region(site: Site, request: Request, asked: Asked) -> Response:
    box = _box(request.path_params["box"])
    if box is None:
        raise HTTPException(404)
    _, sample = asked.opened.columns.place(request.path_params["row"])
    try:
        content = site.pictures.region(asked.opened.dataset, sample, *box)
    except (DataError, Refused):
        return no_picture()
    return Response(content, media_type="image/jpeg", headers=NOT_KEPT)


def _picture(site: Site, request: Request, opened: Opened, layer: str, longest: int) -> Picture:
    _, sample = opened.columns.place(request.path_params["row"])
    make = site.pictures.photo if layer == "photo" else site.pictures.labels
    return make(opened.dataset, sample, longest, _corner(request))


def _large(site: Site, opened: Opened, row: int, layer: str = "photo") -> Picture | None:
    """What is said of a TIFF file that is shown in tiles, without reading all of it; None for other images."""
    _, sample = opened.columns.place(row)
    files, reading = (sample.image_path, *sample.mask_files), opened.dataset.reading
    site.pictures.require(files[:1] if layer == "photo" else files)
    if large_image(sample.image_path, LARGE * LARGE) is None or is_in_parts(sample.image_path, reading):
        return None
    if layer == "labels" and not sample.mask_files:
        raise Refused("It has no labels.")
    size = site.tiles.size(opened.dataset, sample, layer)
    return Picture(b"", fitted(size, LARGE), size)


def _tried(make: Callable[[], Picture | None]) -> tuple[Picture | None, str]:
    """A picture, or the reason why there is none."""
    try:
        return make(), ""
    except DataError as error:
        return None, f"{error.message}. {error.help}"
    except Refused as refused:
        return None, str(refused)


def _findings(site: Site, asked: Asked, row: int, *, whole: bool) -> list[Finding]:
    """The findings of a pair, with messages of its own where they are about its files alone, if all of it is read."""
    opened = asked.opened
    general = {one.code: one for one in reversed(opened.about)}
    split, sample = opened.columns.place(row)

    def examined() -> list[Finding]:
        site.pictures.require([sample.image_path, *sample.mask_files])
        found = examine(split, sample, opened.dataset, HashCache(opened.dataset.root), compared=False)
        root = opened.dataset.root
        return [finding_of(error, data_pages.relative_name(path, root)) for path, error in found.errors]

    own: list[Finding] = []
    if whole:
        try:
            own = site.examined.get((asked.survey.id, row, data_pages.stamp_of(sample)), examined)
        except (Refused, PixelwiseError):
            own = []
    told = {one.code for one in own}
    codes = data_pages.codes_at(opened, row)
    return [*own, *(general[code] for code in codes if code in general and code not in told)]


def _corner(request: Request) -> Size | None:
    """First row and column of the part of a large image that an address asks for."""
    top, left = (request.query_params.get(name, "") for name in ("top", "left"))
    if not all(text.isascii() and text.isdecimal() and len(text) < 10 for text in (top, left)):
        return None
    return int(top), int(left)


def _moves(photo: Picture) -> list[tuple[str, Size]]:
    """Names of directions, and the corners of the parts that lie there, half a part away."""
    if photo.part is None:
        return []
    top, left, height, width = photo.part
    steps = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
    moved = {
        name: (
            min(max(0, top + down * WINDOW // 2), photo.whole[0] - height),
            min(max(0, left + right * WINDOW // 2), photo.whole[1] - width),
        )
        for name, (down, right) in steps.items()
    }
    return [(name, corner) for name, corner in moved.items() if corner != (top, left)]


def _box(text: str) -> tuple[int, int, int, int, int, int] | None:
    """Left, top, width and height of a box, and width and height of its image; None if it is no box."""
    parts = text.split("-")
    if len(parts) != 6 or not all(one.isascii() and one.isdecimal() and len(one) < 8 for one in parts):
        return None
    left, top, width, height, image_width, image_height = map(int, parts)
    if not (width and height and left + width <= image_width and top + height <= image_height):
        return None
    return left, top, width, height, image_width, image_height
