"""The routes of a server."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pixelwise.errors import PixelwiseError
from pixelwise.serving import inference_protocol
from pixelwise.serving.access import LOOPBACK, Access
from pixelwise.serving.bodies import image_of
from pixelwise.serving.messages import Answer, Order
from pixelwise.serving.metrics import MEDIA
from pixelwise.serving.openapi import document
from pixelwise.serving.problems import Problem
from pixelwise.serving.responses import SAFE, json_response, problem_response
from pixelwise.serving.service import Service

FORMS: tuple[str, ...] = get_args(Answer)
LARGEST_TOLERANCE = 1e6
Handler = Callable[[Service, Request], Awaitable[Response]]


def application(service: Service) -> ASGIApp:
    """The application of a server.

    Args:
        service: The model that it serves.
    """
    options = service.options
    routes = [
        _route(service, "/predict", predict, "POST"),
        _route(service, "/model", model),
        _route(service, "/model/reload", reload, "POST"),
        _route(service, "/health", health),
        _route(service, "/ready", ready),
        _route(service, "/metrics", metrics),
        _route(service, "/openapi.json", openapi),
        *(
            _route(service, path, handler, method, inference_protocol.error_response)
            for path, (method, handler) in inference_protocol.ROUTES.items()
        ),
    ]

    async def refused(request: Request, error: Exception) -> Response:
        problem = _not_found(request, error) if isinstance(error, HTTPException) else _fault(error)
        service.metrics.request("other", problem.status, 0.0)
        return problem_response(problem)

    app = Starlette(routes=routes, exception_handlers={HTTPException: refused, Exception: refused})
    # Behind a name that only whoever runs the server knows, the token is what keeps strangers away.
    hosts = None if options.token is not None else {*LOOPBACK, options.host}
    return Access(app, hosts, options.token)


def _route(
    service: Service,
    path: str,
    handler: Handler,
    method: str = "GET",
    refusal: Callable[[Problem], Response] = problem_response,
) -> Route:
    """A route whose problems become answers, and whose answers are counted."""

    async def endpoint(request: Request) -> Response:
        start = time.monotonic()
        try:
            response = await handler(service, request)
        except Problem as problem:
            if problem.status in _UNREAD:
                await _drain(service, request)
            response = refusal(problem)
        service.metrics.request(path, response.status_code, time.monotonic() - start)
        return response

    return Route(path, endpoint, methods=[method], name=path)


async def predict(service: Service, request: Request) -> Response:
    """Predict one image."""
    order = _order_of(request)
    with service.place():
        body = await service.body(request)
        order = msgspec.structs.replace(order, content=await image_of(request, body))
        del body
        (done,) = await service.answers(request, [order])
    return Response(done.content, 200, {**SAFE, "Pixelwise-Model": done.model}, done.media)


_UNREAD = (429, 503)
"""Statuses of refusals for which a client should find its connection open: it is to come back."""


async def _drain(service: Service, request: Request) -> None:
    """Read what is left of a body without keeping it, unless the client waits for a word before it sends any."""
    if request.method != "POST" or "expect" in request.headers:
        return
    try:
        await service.body(request)
    except (Problem, RuntimeError):  # too large or too slow; or it was read already
        return


def _order_of(request: Request) -> Order:
    """What the query of a request asks for."""
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    unknown = sorted(set(names) - {"output", "tolerance"})
    if unknown or len(names) != len(set(names)):
        what = f"the query has the unknown field {unknown[0]!r}" if unknown else "the query has a field twice"
        raise Problem(400, "R291", what, "it takes `output` and `tolerance`, each once")
    query = dict(given)
    form = query.get("output", "mask")
    if form not in FORMS:
        raise Problem(400, "R291", f"`output` is {form!r}; expected one of {', '.join(FORMS)}", "change `output`")
    text = query.get("tolerance", "0")
    try:
        tolerance = float(text)
    except ValueError:
        tolerance = math.nan
    if not 0 <= tolerance <= LARGEST_TOLERANCE:
        raise Problem(400, "R291", f"`tolerance` is {text!r}; expected 0 or more pixels", "change `tolerance`")
    return Order(number=0, content=b"", form=form, tolerance=tolerance)  # type: ignore[arg-type]


async def model(service: Service, _: Request) -> Response:
    """Describe the model."""
    return json_response(describe(service))


def describe(service: Service) -> dict[str, Any]:
    """What `GET /model` answers."""
    found = service.pool.model
    classes = [
        {"id": class_id, "name": name, "color": color}
        for class_id, (name, color) in enumerate(zip(found.classes, found.palette, strict=True))
    ]
    plain = msgspec.to_builtins(found)
    kept = ("multilabel", "channels", "runtime", "device", "recipe", "hashes", "licence", "preprocessing")
    outputs = [form for form in FORMS if form != "probabilities" or found.gives_scores]
    limits = {"max_bytes": service.options.max_bytes, "max_pixels": found.preprocessing["max_pixels"]}
    return {
        "name": service.name,
        "version": service.version,
        "classes": classes,
        **{name: plain[name] for name in kept},
        "outputs": outputs,
        "limits": limits,
    }


async def reload(service: Service, _: Request) -> Response:
    """Load the model again from where it was loaded, and let it take the place of the old one."""
    try:
        await asyncio.to_thread(service.pool.reload)
    except PixelwiseError as error:
        raise Problem(
            409,
            error.code,
            f"the model was not loaded again, and the one before goes on: {error.message}",
            error.help,
        ) from error
    return json_response(describe(service))


async def health(_: Service, __: Request) -> Response:
    """Whether the server runs."""
    return json_response({"status": "running"})


async def ready(service: Service, _: Request) -> Response:
    """Whether the server can predict now."""
    workers = service.pool.ready
    if not workers:
        raise Problem(503, "S614", "no worker is ready", "ask again later", {"Retry-After": "5"})
    return json_response({"status": "ready", "workers": workers})


async def metrics(service: Service, _: Request) -> Response:
    """Counters for Prometheus."""
    now = {
        "queue_images": service.pool.waiting,
        "requests_in_progress": service.in_progress,
        "workers_ready": service.pool.ready,
    }
    return Response(service.metrics.text(now), 200, SAFE, MEDIA)


async def openapi(service: Service, _: Request) -> Response:
    """The description of the server."""
    return json_response(document(service.options, service.name))


def _not_found(request: Request, error: HTTPException) -> Problem:
    what = {404: f"there is nothing at {request.url.path!r}", 405: f"{request.method} is not for this path"}
    return Problem(
        error.status_code,
        "R291",
        what.get(error.status_code, str(error.detail)),
        "/openapi.json lists what there is",
        dict(error.headers or {}),
    )


def _fault(error: Exception) -> Problem:
    text = str(error).strip().partition("\n")[0] or "without a message"
    return Problem(500, "R280", f"unexpected {type(error).__name__}: {text}", "a fault of Pixelwise: report it")
