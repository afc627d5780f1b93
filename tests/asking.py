"""Asks an ASGI application in this process, as a browser would that keeps one cookie."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Browser:
    """A browser at one application."""

    def __init__(self, app: Any, host: str = "127.0.0.1:8765") -> None:
        self.app, self.host, self.cookie = app, host, ""

    def get(self, address: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """The answer to a request; further headers are given with underscores for hyphens."""
        given = {"host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookie:
            given.setdefault("cookie", self.cookie)
        answer = asyncio.run(_asked(self.app, address, method, given, body))
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer


async def _asked(app: Any, address: str, method: str, headers: Mapping[str, str], sent: bytes) -> Answer:
    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8765),
    }
    status, given, body = 0, {}, b""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, given, body
        if message["type"] == "http.response.start":
            status = message["status"]
            given = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            body += message.get("body", b"")

    await app(scope, receive, send)
    return Answer(status, given, body)
