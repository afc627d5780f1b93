"""Answers of HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from pixelwise.serving.problems import MEDIA, Problem

SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""Headers of every answer: nobody is to guess another type, or to keep what may be confidential."""


def json_response(value: Any, status: int = 200, media: str = "application/json") -> Response:
    """A JSON document."""
    return Response(msgspec.json.encode(value), status, SAFE, media)


def problem_response(problem: Problem) -> Response:
    """A problem document."""
    return Response(msgspec.json.encode(problem.document()), problem.status, {**SAFE, **problem.headers}, MEDIA)
