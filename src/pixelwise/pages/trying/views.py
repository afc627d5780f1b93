"""The page `/try`, and its answers to photos. A photo is decoded by a worker, which may die of it, never here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pixelwise.errors import PixelwiseError
from pixelwise.pages.rendering import html
from pixelwise.pages.trying.models import LIMITS, Models
from pixelwise.serving.bodies import read_body
from pixelwise.serving.messages import Order
from pixelwise.serving.problems import Problem, status_of
from pixelwise.serving.responses import SAFE, problem_response

MOST_PHOTOS = 4
"""Photos that are taken at a time, uploads included, so that memory stays bounded."""
TIME = "pixelwise-milliseconds"
"""Header with the time of a photo in its worker: decoding, prediction, and the answer."""


class Site:
    """What the page is made of.

    Args:
        models: The models that can be tried.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        self._taken = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place for a photo, from before its bytes are read.

        Raises:
            Problem: S612, all places are taken.
        """
        if self._taken >= MOST_PHOTOS:
            raise Problem(429, "S612", f"{self._taken} photos are being predicted", "try again when one is done")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


def routes(models: Models) -> list[Route]:
    """The addresses of the page."""
    site = Site(models)
    return [
        Route("/try", partial(_page, site)),
        Route("/try/{id}", partial(answered, site), methods=["POST"]),
    ]


def _page(site: Site, request: Request) -> Response:
    choices, asked = site.models.choices(), request.query_params.getlist("with")
    known = [id for id in asked if any(one.id == id for one in choices)]
    chosen = (known or [one.id for one in choices])[:2]
    return html(
        "try.html", choices=choices, chosen=chosen, megabytes=LIMITS.max_bytes // 2**20, pixels=LIMITS.max_pixels
    )


async def answered(site: Site, request: Request) -> Response:
    """Predict the photo in the body of a request: its classes with their pixels and run lengths, as JSON."""
    try:
        with site.place():
            content = await read_body(request, LIMITS.max_bytes, LIMITS.timeout)
            if not content:
                raise Problem(400, "R291", "the file is empty", "choose an image")
            pool = await asyncio.to_thread(site.models.pool, request.path_params["id"])
            if pool is None:
                raise Problem(404, "R291", "there is no such model any more", "reload the page")
            start = time.monotonic()
            done = await asyncio.wrap_future(pool.submit(Order(number=0, content=content, form="rle")))
            spent = {TIME: f"{1000 * (time.monotonic() - start):.0f}"}
    except Problem as problem:
        return problem_response(problem)
    except PixelwiseError as error:
        return problem_response(Problem(status_of(error.code), error.code, error.message, error.help))
    return Response(done.content, 200, {**SAFE, **spent}, "application/json")
