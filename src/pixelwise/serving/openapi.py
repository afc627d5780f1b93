"""The OpenAPI document of a server."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, get_args

from pixelwise.serving.messages import Answer
from pixelwise.serving.options import ServeOptions
from pixelwise.serving.problems import MEDIA

Json = dict[str, Any]
_PROBLEM: Json = {"$ref": "#/components/responses/Problem"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TEXT: Json = {"type": "string"}


def document(options: ServeOptions, name: str) -> Json:
    """The document.

    Args:
        options: Options of the server.
        name: Name of the model.
    """
    secured = options.token is not None
    open_paths: Json = {
        "/health": _get("Whether the server runs", _object(status=_TEXT), secured=False),
        "/ready": _get("Whether the server can predict now", _object(status=_TEXT, workers=_COUNT), secured=False),
        "/v2/health/live": _get("Whether the server runs", _object(live={"type": "boolean"}), secured=False),
        "/v2/health/ready": _not_ready(
            _get("Whether the server can predict now", _object(ready={"type": "boolean"}), secured=False),
            _object(ready={"type": "boolean"}),
        ),
    }
    model = f"/v2/models/{name}"
    model_ready = _object(name=_TEXT, ready={"type": "boolean"})
    paths: Json = {
        "/predict": {"post": _predict()},
        "/model": _get("Classes, preprocessing, hashes and licences of the model", {"type": "object"}),
        "/model/reload": {
            "post": {
                "summary": "Load the model again from the same place; the one before answers meanwhile",
                "responses": {"200": _answer("The model that answers now", {"type": "object"}), "default": _PROBLEM},
            }
        },
        "/metrics": {
            "get": {
                "summary": "Counters in the text format of Prometheus",
                "responses": {
                    "200": {"description": "The counters", "content": {"text/plain": {"schema": _TEXT}}},
                    "default": _PROBLEM,
                },
            }
        },
        "/openapi.json": _get("This document", {"type": "object"}),
        **open_paths,
        "/v2": _get("The server and the extensions of the open inference protocol", {"type": "object"}),
        model: _get("Inputs and outputs of the model", {"type": "object"}, refused=_INFER_ERROR),
        f"{model}/ready": _not_ready(
            _get("Whether the model can predict now", model_ready, refused=_INFER_ERROR), model_ready
        ),
        f"{model}/infer": {"post": _infer()},
    }
    found: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": f"{name}: semantic segmentation",
            "version": version("pixelwise"),
            "description": "Images in, masks out. /v2 is the open inference protocol (KServe).",
        },
        "paths": paths,
        "components": {"responses": {"Problem": _problem()}, "schemas": _SCHEMAS},
    }
    if secured:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _predict() -> Json:
    binary: Json = {"type": "string", "format": "binary"}
    return {
        "summary": "The mask of an image",
        "description": "The body is the bytes of an image file (JPEG, PNG, WebP, TIFF, BMP, GIF), or a form with one "
        "file.",
        "parameters": [
            {
                "name": "output",
                "in": "query",
                "description": "`mask`: a PNG file whose pixel values are class ids (an archive with one file per "
                "class if a pixel may have several). `rle`, `polygons`: JSON. `overlay`: JPEG. `probabilities`: TIFF "
                "with one band per class, 0 to 255.",
                "schema": {"type": "string", "enum": list(get_args(Answer)), "default": "mask"},
            },
            {
                "name": "tolerance",
                "in": "query",
                "description": "Distance in pixels by which simplified polygons may differ.",
                "schema": {"type": "number", "minimum": 0, "maximum": 1e6, "default": 0},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": binary},
                "application/octet-stream": {"schema": binary},
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"image": binary}, "required": ["image"]}
                },
            },
        },
        "responses": {
            "200": {
                "description": "The answer",
                "headers": {"Pixelwise-Model": {"description": "Version of the model", "schema": _TEXT}},
                "content": {
                    "image/png": {"schema": binary},
                    "application/zip": {"schema": binary},
                    "application/json": {"schema": {"$ref": "#/components/schemas/Objects"}},
                    "image/jpeg": {"schema": binary},
                    "image/tiff": {"schema": binary},
                },
            },
            "429": _PROBLEM,
            "default": _PROBLEM,
        },
    }


def _infer() -> Json:
    return {
        "summary": "Predictions for images, as tensors",
        "description": "Either `file` (BYTES, image files; base64 in JSON) or `image` (UINT8 [N, H, W, C]). Gives "
        "`labels` (UINT8 [N, H, W]) and on request `probabilities` (FP32 [N, K, H, W]). The binary tensor extension "
        "is understood.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/InferRequest"}}},
        },
        "responses": {
            "200": {
                "description": "The outputs",
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                },
            },
            "default": _INFER_ERROR,
        },
    }


def _get(summary: str, schema: Json, *, secured: bool = True, refused: Json = _PROBLEM) -> Json:
    found: Json = {"summary": summary, "responses": {"200": _answer(summary, schema), "default": refused}}
    return {"get": found if secured else {**found, "security": []}}


def _not_ready(path: Json, schema: Json) -> Json:
    path["get"]["responses"]["503"] = _answer("Not now", schema)
    return path


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _problem() -> Json:
    fields = _object(type=_TEXT, title=_TEXT, status={"type": "integer"}, code=_TEXT, detail=_TEXT, help=_TEXT)
    return {"description": "A problem document (RFC 9457)", "content": {MEDIA: {"schema": fields}}}


_INFER_ERROR: Json = {
    "description": "An error",
    "content": {
        "application/json": {"schema": _object(error=_TEXT, code=_TEXT)},
        # Before the model is reached: the name of the host, the token, the path.
        MEDIA: {"schema": {"type": "object"}},
    },
}
_CORNERS: Json = {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}
_SCHEMAS: Json = {
    "Objects": _object(
        width=_COUNT,
        height=_COUNT,
        classes={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": _COUNT,
                    "name": _TEXT,
                    "color": _TEXT,
                    "pixels": _COUNT,
                    "rle": {
                        "description": "Uncompressed run lengths of COCO, column after column",
                        **_object(size={"type": "array", "items": _COUNT}, counts={"type": "array", "items": _COUNT}),
                    },
                    "polygons": {
                        "type": "array",
                        "items": _object(
                            area={"type": "number"}, outline=_CORNERS, holes={"type": "array", "items": _CORNERS}
                        ),
                    },
                },
                "required": ["id", "name", "color", "pixels"],
            },
        },
    ),
    "InferRequest": {
        "type": "object",
        "properties": {
            "id": _TEXT,
            "parameters": {"type": "object"},
            "inputs": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "enum": ["file", "image"]},
                        "datatype": {"type": "string", "enum": ["BYTES", "UINT8"]},
                        "shape": {"type": "array", "items": _COUNT},
                        "parameters": {"type": "object"},
                        "data": {"type": "array"},
                    },
                    "required": ["name", "datatype", "shape"],
                },
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": _TEXT, "parameters": {"type": "object"}},
                    "required": ["name"],
                },
            },
        },
        "required": ["inputs"],
    },
}
