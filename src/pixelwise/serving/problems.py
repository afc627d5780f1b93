"""Problem documents (RFC 9457): errors as JSON, with the codes that docs/errors.md explains."""

from __future__ import annotations

import http
from typing import Any

from pixelwise.errors import harmless

MEDIA = "application/problem+json"
FAULT = 500
"""Status of errors that are nobody's fault but the server's."""
_DATA = 422
_STATUS = {"R280": FAULT, "D120": 413, "D151": 503, "K466": 422, "K463": FAULT, "K464": 422, "R203": 422}
"""Code -> status of errors whose first letter does not say it."""
_BY_KIND = {"D": _DATA, "R": 400, "S": 503}


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: Status of HTTP.
        code: Code of the error.
        message: One or two sentences: what was found against what was expected.
        help: The way out.
        headers: Further headers of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, help: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.help = status, code, message, help
        self.headers = headers or {}

    def document(self) -> dict[str, Any]:
        """The document, as JSON values."""
        return {
            "type": f"urn:pixelwise:error:{self.code}",
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": harmless(self.message),
            "help": harmless(self.help),
        }


def status_of(code: str) -> int:
    """Status of HTTP for an error of an image or of the model.

    Args:
        code: Its code.
    """
    return _STATUS.get(code) or _BY_KIND.get(code[:1], FAULT)
