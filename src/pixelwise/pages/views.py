"""The answers to requests for pages of results: ids and numbers of an address become what they name, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pixelwise.errors import PixelwiseError
from pixelwise.pages import comparing, result_pages
from pixelwise.pages.catalog import Catalog, stamp_of
from pixelwise.pages.errors import KINDS
from pixelwise.pages.evaluated import Gallery, Opened, open_entry
from pixelwise.pages.images import filter_of
from pixelwise.pages.large.views import LargeImages, tile_of
from pixelwise.pages.newest import Newest
from pixelwise.pages.rendering import KEPT, NOT_KEPT, guarded, html, no_picture


class Site(NamedTuple):
    """What the pages of results are made of."""

    catalog: Catalog
    gallery: Gallery
    large: LargeImages
    opened: Newest[Opened]
    versions: Newest[Opened]


class Other(NamedTuple):
    """Another result of the same run."""

    id: str
    title: str


View = Callable[[Site, Request], Response]


def routes(catalog: Catalog, gallery: Gallery, large: LargeImages) -> list[Route]:
    """The addresses of the pages of results.

    Args:
        catalog: The folders of runs.
        gallery: The images of results.
        large: Those that are shown in tiles.
    """
    site = Site(catalog, gallery, large, Newest(8), Newest(8))
    views: dict[str, View] = {
        "/run/{id}": _result,
        "/run/{id}/curves": _curves,
        "/run/{id}/errors": _errors,
        "/run/{id}/images": _images,
        "/run/{id}/cell/{truth:int}-{said:int}": _cell,
        "/run/{id}/cell/{truth:int}-{said:int}/{place:int}": _regions,
        "/run/{id}/image/{place:int}": _image,
        "/run/{id}/image/{place:int}/whole": _whole,
        "/run/{id}/image/{place:int}/{layer}": _layer,
        "/run/{id}/image/{place:int}/{layer}/{halvings:int}-{down:int}-{right:int}": _tile,
        "/run/{id}/thumbnail/{place:int}": _thumbnail,
        "/run/{id}/crop/{what}/{place:int}/{number:int}": _crop,
        "/compare/{ours}/{theirs}": _compare,
        "/compare/{ours}/{theirs}/image/{place:int}": _compare_image,
    }
    return [Route(path, partial(guarded, site, view)) for path, view in views.items()]


def opened(site: Site, id: str) -> Opened:
    """The result of an id.

    Raises:
        HTTPException: 404, there is none.
        PixelwiseError: A file of it is damaged.
    """
    entry = site.catalog.entry(id)
    if entry is None:
        raise HTTPException(404)
    # A page asks for dozens of pictures, and reading a run takes longer than drawing one.
    found = site.opened.get((entry, stamp_of(entry)), lambda: open_entry(entry))
    return site.versions.get((id, found.version), lambda: found)


def _opened(site: Site, request: Request) -> Opened:
    return opened(site, request.path_params["id"])


def _opened_for_picture(site: Site, request: Request) -> Opened:
    """As `_opened`, but without a look at the files if the address names a version that a page has just shown.

    A page asks for dozens of pictures, and the look would take as long as drawing one.
    """
    version = request.query_params.get("v")
    return site.versions.known((request.path_params["id"], version)) or _opened(site, request)


def _result(site: Site, request: Request) -> Response:
    found = _opened(site, request)
    others = []
    for entry in site.catalog.entries():
        if entry.run == found.entry.run and entry.id != found.entry.id:
            try:
                result = site.catalog.result(entry)
            except PixelwiseError:
                continue
            if result is not None:
                others.append(Other(entry.id, f"{result.split}, {result.protocol}"))
    return html("result.html", **result_pages.result_values(found, others))


def _curves(site: Site, request: Request) -> Response:
    return JSONResponse(result_pages.curves(_opened(site, request)), headers=NOT_KEPT)


def _errors(site: Site, request: Request) -> Response:
    return html("errors.html", **result_pages.kinds_values(_opened(site, request), site.gallery))


def _images(site: Site, request: Request) -> Response:
    found = _opened(site, request)
    wanted = filter_of(request.query_params, len(found.result.per_class))
    return html("images.html", **result_pages.images_values(found, wanted))


def _cell_of(found: Opened, request: Request) -> tuple[int, int]:
    truth, said = request.path_params["truth"], request.path_params["said"]
    if max(truth, said) >= len(found.result.confusion_matrix):
        raise HTTPException(404)
    return truth, said


def _cell(site: Site, request: Request) -> Response:
    found = _opened(site, request)
    return html("cell.html", **result_pages.cell_values(found, site.gallery, *_cell_of(found, request)))


def _regions(site: Site, request: Request) -> Response:
    found = _opened(site, request)
    truth, said = _cell_of(found, request)
    place = request.path_params["place"]
    values = result_pages.sections_values(found, site.gallery, f"{truth}-{said}", place)
    return html("regions.html", entry=found.entry, one=values)


def _image(site: Site, request: Request) -> Response:
    found, place = _opened(site, request), request.path_params["place"]
    large = site.large.find(found, place)
    values = result_pages.image_values(found, site.gallery, place, only_kept=large is not None)
    return html("image.html", **values, deep=None if large is None else site.large.values(large))


def _whole(site: Site, request: Request) -> Response:
    large = site.large.find(_opened(site, request), request.path_params["place"])
    if large is None:
        raise HTTPException(404)
    return site.large.standing(large)


def _tile(site: Site, request: Request) -> Response:
    large = site.large.find(_opened(site, request), request.path_params["place"])
    return tile_of(site.large, large, request)


def _layer(site: Site, request: Request) -> Response:
    name = request.path_params["layer"]
    if name not in result_pages.LAYERS:
        raise HTTPException(404)
    content = result_pages.layer(_opened(site, request), site.gallery, request.path_params["place"], name)
    return Response(content, media_type=result_pages.LAYERS[name], headers=NOT_KEPT)


def _compare(site: Site, request: Request) -> Response:
    ours, theirs = (opened(site, request.path_params[name]) for name in ("ours", "theirs"))
    return html("compare.html", **comparing.comparison_values(ours, theirs, site.gallery))


def _compare_image(site: Site, request: Request) -> Response:
    place = request.path_params["place"]
    ours, theirs = (opened(site, request.path_params[name]) for name in ("ours", "theirs"))
    other = comparing.place_in(ours, theirs, place)
    first, second = site.large.find(ours, place), site.large.find(theirs, other)
    deep = None
    if first is not None and second is not None and first.size == second.size:
        deep = site.large.values(first, second)
    values = comparing.image_values(ours, theirs, (place, other), site.gallery, only_kept=deep is not None)
    return html("compare_image.html", **values, deep=deep)


def _thumbnail(site: Site, request: Request) -> Response:
    found, place = _opened_for_picture(site, request), request.path_params["place"]
    small = site.gallery.thumbnail(found, place)
    if small is not None:
        return Response(small, media_type="image/webp", headers=_headers(found, request, kept=True))
    return no_picture()


def _crop(site: Site, request: Request) -> Response:
    found, what = _opened_for_picture(site, request), request.path_params["what"]
    classes = len(found.result.confusion_matrix)
    truth, _, said = what.partition("-")
    cell = all(one.isascii() and one.isdecimal() and len(one) < 7 and int(one) < classes for one in (truth, said))
    if what not in KINDS and not cell:
        raise HTTPException(404)
    place, number = request.path_params["place"], request.path_params["number"]
    content = result_pages.cut_out(found, site.gallery, what, place, number)
    headers = _headers(found, request, kept=site.gallery.keeps(found, place))
    return Response(content, media_type="image/jpeg", headers=headers)


def _headers(found: Opened, request: Request, *, kept: bool) -> dict[str, str]:
    """Headers of a picture: browsers keep those that lie in the folder of the result, whose version they name.

    What is predicted now depends on the files of the data, too.
    """
    return KEPT if kept and request.query_params.get("v") == found.version else NOT_KEPT
