"""The addresses of the label editor: lists of images, an image with its mask, and the one address that writes."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pixelwise.datasets.reading.images import read_image
from pixelwise.errors import PixelwiseError
from pixelwise.pages.catalog import Catalog
from pixelwise.pages.fixing.collection import Collection, Folder, Item
from pixelwise.pages.fixing.keeping import Stale
from pixelwise.pages.fixing.layers import PRESENT, Layer, layers_of
from pixelwise.pages.fixing.listing import image_values, list_values
from pixelwise.pages.fixing.masks import MOST_PIXELS, Mask, Uneditable
from pixelwise.pages.labels.pictures import labels_png
from pixelwise.pages.networks.work import Networks
from pixelwise.pages.rendering import NOT_KEPT, guarded, html, no_picture
from pixelwise.prediction.overlays import as_picture, jpeg
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.records.run_folder import is_run
from pixelwise.transforms.resizing import resize_image

WRITABLE = re.compile(r"/fix/[0-9a-f]{16}/mask")
"""Addresses that `PUT` is for, if the pages were opened for editing."""
RUN_BYTES = 12
"""Bytes of a run: first pixel, number of pixels and value, uint32 each, least significant byte first."""
MOST_BYTES = 1 << 26
"""Bytes of the largest change; a page sends larger ones in parts."""
_THUMBNAIL = 240
_KEPT_A_WHILE = {"cache-control": "private, max-age=3600"}
_VERSION = re.compile(r"[0-9a-f]{64}")
_SESSION = re.compile(r"[\w-]{8,64}", re.ASCII)


class Site(NamedTuple):
    """What the label editor is made of.

    Attributes:
        collection: The data folders.
        catalog: The runs whose predictions masks are filled from.
        edit: Whether masks may be changed.
        networks: Predict.
        changed: Called with a data folder when a mask in it was changed, and whether it is a new file.
    """

    collection: Collection
    catalog: Catalog
    edit: bool
    networks: Networks
    changed: Callable[[Path, bool], None]


def routes(site: Site) -> list[Route]:
    """The addresses of the label editor."""
    views: dict[str, Callable[[Site, Request], Response]] = {
        "/fix": _list,
        "/fix/{image}": _image,
        "/fix/{image}/photo": _photo,
        "/fix/{image}/thumbnail": _thumbnail,
        "/fix/{image}/mask": _mask,
        "/fix/{image}/others": _others,
        "/fix/{image}/prediction/{run}": _prediction,
    }
    found = [Route(path, partial(guarded, site, view), methods=["GET"]) for path, view in views.items()]
    return [*found, Route("/fix/{image}/mask", _saving(site), methods=["PUT"])]


def _found(site: Site, request: Request) -> tuple[Folder, Item]:
    found = site.collection.find(request.path_params["image"])
    if found is None:
        raise HTTPException(404)
    return found


def _layer(folder: Folder, request: Request) -> Layer | None:
    """The layer that an address names, or the first one; None for data without layers."""
    asked = request.query_params.get("layer", "")
    if asked and not (asked.isascii() and asked.isdecimal() and len(asked) < 4):
        raise HTTPException(404)
    layer = folder.layer(int(asked) if asked else None)
    if asked and layer is None:
        raise HTTPException(404)
    return layer


def _opened(folder: Folder, item: Item, request: Request) -> Mask:
    return folder.mask(item, _layer(folder, request))


def _list(site: Site, request: Request) -> Response:
    return html("fix_images.html", **list_values(site.collection, request.query_params, site.edit))


def _image(site: Site, request: Request) -> Response:
    folder, item = _found(site, request)
    reason = ""
    try:
        _opened(folder, item, request)
    except Uneditable as error:
        reason = str(error)
    runs = {one.run: (one.id, one.name) for one in site.catalog.entries() if is_run(one.run)}
    layer = _layer(folder, request)
    values = image_values(folder, item, request.query_params.get("order", ""), site.edit, layer)
    # Networks give each pixel one class.
    return html("fix.html", reason=reason, runs=[] if layer else list(runs.values()), **values)


def _picture(folder: Folder, item: Item) -> np.ndarray:
    if not folder.holds(item.sample.image_path):
        raise HTTPException(404)
    return as_picture(read_image(item.sample.image_path, folder.opened().dataset.reading))


def _photo(site: Site, request: Request) -> Response:
    folder, item = _found(site, request)
    try:
        size = _opened(folder, item, request).stored.shape
    except Uneditable as error:
        raise HTTPException(404) from error
    content = jpeg(resize_image(_picture(folder, item), (size[0], size[1])), 95)
    return Response(content, media_type="image/jpeg", headers=NOT_KEPT)


def _thumbnail(site: Site, request: Request) -> Response:
    folder, item = _found(site, request)
    try:
        picture = _picture(folder, item)
    except PixelwiseError:
        return no_picture()
    scale = min(1.0, _THUMBNAIL / max(picture.shape[:2]))
    size = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    return Response(jpeg(resize_image(picture, size)), media_type="image/jpeg", headers=_KEPT_A_WHILE)


def _mask(site: Site, request: Request) -> Response:
    folder, item = _found(site, request)
    try:
        mask = _opened(folder, item, request)
    except Uneditable as error:
        return _refused(422, str(error))
    return _packed(sent(mask))


def _others(site: Site, request: Request) -> Response:
    """What the layers show that are not edited, as a transparent picture; of several in a pixel, the last one."""
    folder, item = _found(site, request)
    edited = _layer(folder, request)
    if edited is None:
        raise HTTPException(404)
    shown = np.full(folder.mask(item, edited).stored.shape, IGNORE, np.uint8)
    for layer in layers_of(folder.opened().dataset):
        if layer.id in (edited.id, IGNORE):
            continue
        try:
            mask = folder.mask(item, layer)
        except Uneditable:
            continue
        if mask.stored.shape == shown.shape:
            present = [value for value, meaning in mask.meanings.items() if meaning == PRESENT]
            shown[np.isin(mask.stored, present)] = layer.id
    content = labels_png(shown, folder.opened().dataset.palette)
    return Response(content, media_type="image/png", headers=NOT_KEPT)


def sent(mask: Mask) -> bytes:
    """A mask as the editor's script reads it.

    The length of a JSON text (uint32), the text padded with spaces to a multiple of four bytes, and for every pixel the
    place of its value in `values` (uint8 if there are up to 256 of them, else uint16), least significant byte first.
    `meanings` has the class of each value (255 ignored, -1 unknown), `paints` the value of each class that can be
    painted, with 255 for ignored pixels.
    """
    values = sorted({*mask.meanings, *mask.paints.values()})
    wide = len(values) > 256
    known = {**{value: class_id for class_id, value in mask.paints.items()}, **mask.meanings}
    facts = {
        "version": mask.version,
        "height": mask.stored.shape[0],
        "width": mask.stored.shape[1],
        "values": values,
        "meanings": [known[value] for value in values],
        "paints": list(mask.paints.items()),
        "wide": wide,
    }
    text = json.dumps(facts).encode()
    text += b" " * (-len(text) % 4)
    places = np.searchsorted(np.array(values), mask.stored).astype("<u2" if wide else np.uint8)
    return struct.pack("<I", len(text)) + text + places.tobytes()


def _prediction(site: Site, request: Request) -> Response:
    folder, item = _found(site, request)
    entry = site.catalog.entry(request.path_params["run"])
    if entry is None or not is_run(entry.run):
        raise HTTPException(404)
    try:
        size = _opened(folder, item, request).stored.shape
        labels = site.networks.filled(
            entry.run, item.sample.image_path, folder.opened().dataset.classes, (size[0], size[1])
        )
    except Uneditable as error:
        return _refused(422, str(error))
    return _packed(labels.tobytes())


def _packed(content: bytes) -> Response:
    headers = {**NOT_KEPT, "content-encoding": "deflate"}
    return Response(zlib.compress(content, 1), media_type="application/octet-stream", headers=headers)


def _refused(status: int, reason: str, **more: Any) -> Response:
    return JSONResponse({"reason": reason, **more}, status, NOT_KEPT)


def _saving(site: Site) -> Callable[[Request], Awaitable[Response]]:
    """The answer to changes of a mask."""

    async def answer(request: Request) -> Response:
        if not site.edit:
            return _refused(403, "The pages were opened without --edit.")
        base, session = (request.query_params.get(name, "") for name in ("base", "session"))
        if not _VERSION.fullmatch(base) or not _SESSION.fullmatch(session):
            return _refused(400, "A change names the version that it is made on, and the page that makes it.")
        if request.headers.get("content-type") != "application/octet-stream":
            return _refused(415, "A change is sent as application/octet-stream.")
        body = await _limited(request, min(MOST_BYTES, RUN_BYTES * MOST_PIXELS))
        if body is None:
            return _refused(413, f"A change has at most {MOST_BYTES >> 20} MiB.")
        if len(body) % RUN_BYTES:
            return _refused(400, "A change consists of runs of 12 bytes.")
        return await run_in_threadpool(_saved, site, request, body)

    return answer


async def _limited(request: Request, most: int) -> bytes | None:
    """The body of a request; None if it is too long, which is found before all of it has come."""
    stated = request.headers.get("content-length", "0")
    if not (stated.isascii() and stated.isdecimal()) or int(stated) > most:
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return bytes(body)


def _saved(site: Site, request: Request, body: bytes) -> Response:
    folder, item = _found(site, request)
    runs = np.frombuffer(body, "<u4").astype(np.int64).reshape(-1, 3)
    base, session = (request.query_params[name] for name in ("base", "session"))
    layer = _layer(folder, request)
    try:
        target = folder.target(item, layer)
        is_new = not target.path.exists()
        mask = folder.keeper(target, layer).save(target, runs, base, session)
    except Stale:
        return _refused(409, "Another program has changed the mask.")
    except (Uneditable, PixelwiseError, OSError) as error:
        status = 422 if isinstance(error, Uneditable) else 507
        return _refused(status, str(error))
    site.changed(folder.root, is_new)
    return JSONResponse({"version": mask.version}, headers=NOT_KEPT)
