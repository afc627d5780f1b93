"""The open inference protocol (KServe, version 2) with its binary tensor extension, so that its clients work.

A model takes either `file`, the bytes of image files (BYTES), or `image`, decoded images (UINT8). It gives `labels`,
class ids, and `probabilities`, if it has any. All images of a request have one size, since tensors are rectangular.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pixelwise.serving.messages import Done, Model, Order
from pixelwise.serving.problems import Problem
from pixelwise.serving.responses import SAFE, json_response
from pixelwise.serving.service import Service
from pixelwise.serving.tensors import (
    HEADER_LENGTH,
    InferRequest,
    Tensor,
    bad,
    read_request,
    tensor_document,
)

FILE, IMAGE, LABELS, PROBABILITIES = "file", "image", "labels", "probabilities"
MOST_IMAGES = 256
"""Most images of a request."""
EXTENSIONS = ("binary_tensor_data",)


class _Asked(NamedTuple):
    """An output that was asked for, and whether as bytes."""

    name: str
    binary: bool


async def server_metadata(_: Service, __: Request) -> Response:
    """The server, its version, and the extensions of the protocol."""
    return json_response({"name": "pixelwise", "version": version("pixelwise"), "extensions": EXTENSIONS})


async def live(_: Service, __: Request) -> Response:
    """Whether the server runs."""
    return json_response({"live": True})


async def ready(service: Service, _: Request) -> Response:
    """Whether the server can predict."""
    return json_response({"ready": bool(service.pool.ready)}, 200 if service.pool.ready else 503)


async def model_metadata(service: Service, request: Request) -> Response:
    """Inputs and outputs of the model."""
    _require_model(service, request)
    found = service.pool.model
    planes = (len(found.classes),) if found.multilabel else ()
    outputs = [{"name": LABELS, "datatype": "UINT8", "shape": (-1, *planes, -1, -1)}]
    if found.gives_scores:
        outputs.append({"name": PROBABILITIES, "datatype": "FP32", "shape": (-1, len(found.classes), -1, -1)})
    return json_response(
        {
            "name": service.name,
            "versions": [service.version],
            "platform": f"pixelwise_{found.runtime}",
            "inputs": [
                {"name": FILE, "datatype": "BYTES", "shape": (-1,)},
                {"name": IMAGE, "datatype": "UINT8", "shape": (-1, -1, -1, found.channels)},
            ],
            "outputs": outputs,
        }
    )


async def model_ready(service: Service, request: Request) -> Response:
    """Whether the model can predict."""
    _require_model(service, request)
    ready = bool(service.pool.ready)
    return json_response({"name": service.name, "ready": ready}, 200 if ready else 503)


async def infer(service: Service, request: Request) -> Response:
    """Predict images."""
    _require_model(service, request)
    with service.place():
        body = await service.body(request)
        # Long JSON takes long, and other requests have to be answered meanwhile.
        asked = await asyncio.to_thread(read_request, body, request.headers.get(HEADER_LENGTH))
        del body
        found = service.pool.model
        outputs = _outputs(asked, found)
        scores = any(one.name == PROBABILITIES for one in outputs)
        orders = _orders(asked, found, service.options.max_pixels, scores=scores)
        done = await service.answers(request, orders)
        return await asyncio.to_thread(_response, service, asked, outputs, done, found)


def _require_model(service: Service, request: Request) -> None:
    name, number = request.path_params["name"], request.path_params.get("version", service.version)
    if name != service.name:
        raise Problem(404, "R291", f"there is no model {name!r}", f"the model is {service.name!r}")
    if number != service.version:
        raise Problem(404, "R291", f"model {name!r} has no version {number!r}", f"its version is {service.version!r}")


def _outputs(asked: InferRequest, model: Model) -> list[_Asked]:
    """The outputs that are asked for; class ids if none is named."""
    binary = asked.parameters.get("binary_data_output") is True
    if not asked.outputs:
        return [_Asked(LABELS, binary)]
    names = [one.name for one in asked.outputs]
    known = (LABELS, PROBABILITIES) if model.gives_scores else (LABELS,)
    for name in names:
        if name not in known or names.count(name) > 1:
            raise bad(f"the output {name!r} is unknown, or asked for twice; expected {' or '.join(known)}")
    return [_Asked(one.name, bool(one.parameters.get("binary_data", binary))) for one in asked.outputs]


def _orders(asked: InferRequest, model: Model, max_pixels: int, *, scores: bool) -> list[Order]:
    if len(asked.inputs) != 1:
        raise bad(f"there are {len(asked.inputs)} inputs; expected one: {FILE!r} or {IMAGE!r}")
    (given,) = asked.inputs
    common: dict[str, Any] = {"number": 0, "form": "arrays", "scores": scores}
    if given.name == FILE:
        return [Order(content=content, **common) for content in _files(given)]
    if given.name == IMAGE:
        shape = _image_shape(given, model.channels, max_pixels)
        values, size = given.values(), math.prod(shape)
        return [
            Order(content=bytes(values[first : first + size]), shape=shape, **common)
            for first in range(0, len(values), size)
        ]
    raise bad(f"the input {given.name!r} is unknown; expected {FILE!r} or {IMAGE!r}")


def _files(given: Tensor) -> Sequence[bytes]:
    if given.datatype != "BYTES":
        raise bad(f"the input {FILE!r} has the datatype {given.datatype!r}; expected BYTES")
    files = given.elements()
    if not 1 <= len(files) <= MOST_IMAGES or math.prod(given.shape) != len(files):
        raise bad(
            f"the input {FILE!r} has {len(files)} files and the shape {list(given.shape)}; expected 1 to {MOST_IMAGES}"
        )
    return files


def _image_shape(given: Tensor, channels: int, max_pixels: int) -> tuple[int, int, int]:
    """(height, width, channels) of each of the images in a tensor."""
    shape = given.shape if len(given.shape) == 4 else (1, *given.shape)
    if given.datatype != "UINT8" or len(shape) != 4 or shape[3] != channels or min(shape) < 1:
        raise bad(f"the input {IMAGE!r} is {given.datatype} {list(given.shape)}; expected UINT8 [N, H, W, {channels}]")
    if shape[0] > MOST_IMAGES:
        raise bad(f"there are {shape[0]} images; expected 1 to {MOST_IMAGES}")
    if shape[1] * shape[2] > max_pixels:
        raise Problem(
            413,
            "D120",
            f"image: {shape[2]}x{shape[1]} (WxH) pixels are more than the {max_pixels} that this server takes",
            "send a smaller image, or parts of it; whoever runs the server can raise `max_pixels`",
        )
    return shape[1], shape[2], shape[3]


def _response(
    service: Service, asked: InferRequest, outputs: Sequence[_Asked], done: Sequence[Done], model: Model
) -> Response:
    sizes = {one.size for one in done}
    if len(sizes) > 1:
        raise bad("the images have different sizes; expected one size, or a request for each image")
    ((height, width),) = sizes
    planes = (len(model.classes),) if model.multilabel else ()
    labels_bytes = math.prod((*planes, height, width))
    documents, tail = [], b""
    for one in outputs:
        if one.name == LABELS:
            datatype, shape = "UINT8", (len(done), *planes, height, width)
            content = b"".join(each.content[:labels_bytes] for each in done)
        else:
            datatype, shape = "FP32", (len(done), len(model.classes), height, width)
            content = b"".join(each.content[labels_bytes:] for each in done)
        documents.append(tensor_document(one.name, datatype, shape, content, binary=one.binary))
        tail += content if one.binary else b""
    answer = {"model_name": service.name, "model_version": done[0].model, "outputs": documents}
    if asked.id:
        answer["id"] = asked.id
    head = msgspec.json.encode(answer)
    if not tail:
        return Response(head, 200, SAFE, "application/json")
    return Response(head + tail, 200, {**SAFE, HEADER_LENGTH: str(len(head))}, "application/octet-stream")


def error_response(problem: Problem) -> Response:
    """An error as the protocol has it, with the fields of a problem document besides."""
    document = problem.document()
    text = ". ".join(part for part in (document["detail"], document["help"]) if part)
    response = json_response({"error": f"{problem.code}: {text}", **document}, problem.status)
    response.headers.update(problem.headers)
    return response


_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"
ROUTES: dict[str, tuple[str, Callable[[Service, Request], Awaitable[Response]]]] = {
    "/v2": ("GET", server_metadata),
    "/v2/health/live": ("GET", live),
    "/v2/health/ready": ("GET", ready),
    **dict.fromkeys((_MODEL, _VERSION), ("GET", model_metadata)),
    **{f"{path}/ready": ("GET", model_ready) for path in (_MODEL, _VERSION)},
    **{f"{path}/infer": ("POST", infer) for path in (_MODEL, _VERSION)},
}
"""Path -> method and what answers it."""
