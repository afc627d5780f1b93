"""Who may ask: the name of the server that a request states, the page that it comes from, and its token.

A page of the net can have its own name resolve to this computer, and then read what answers here (DNS rebinding); so
without a token, a request has to name this computer. It can also have a browser send requests elsewhere than to its own
server (CSRF); so a request that states its origin has to come from a page of this server.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pixelwise.serving.problems import Problem
from pixelwise.serving.responses import problem_response

LOOPBACK = ("localhost", "127.0.0.1", "::1")
OPEN_PATHS = ("/health", "/ready", "/v2/health/live", "/v2/health/ready")
"""Paths that need no token: they tell a load balancer nothing but whether the server answers."""


class Access:
    """Passes on what may be answered.

    Args:
        app: Answers it.
        hosts: Names by which the server may be called; None for any, which only a token makes safe.
        token: The token; None if none is needed.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, token: str | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(hosts)
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "http":
            try:
                self._check(str(scope["path"]), Headers(scope=scope))
            except Problem as problem:
                await problem_response(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, path: str, headers: Headers) -> None:
        """Refuse what may not be answered.

        Raises:
            Problem: R292; 401 without the token, else 403.
        """
        host = headers.get("host", "")
        if self._hosts is not None and name_of(host) not in self._hosts:
            raise Problem(
                403,
                "R292",
                f"the request is for the host {host!r}, and this server is {' or '.join(sorted(self._hosts))}",
                "send it to 127.0.0.1; a server behind another name needs a `token`",
            )
        origin = headers.get("origin")
        if not is_own_origin(origin, host):
            raise Problem(
                403, "R292", f"the request comes from a page of {origin!r}", "send it from a program, not from a page"
            )
        if self._token is None or path in OPEN_PATHS:
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        # Compared in a time that does not depend on how much of it is right.
        right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        if not right or kind.lower() != "bearer":
            raise Problem(
                401,
                "R292",
                "the request has no token, or another one than the server",
                "send the header `Authorization: Bearer TOKEN`",
                {"WWW-Authenticate": "Bearer"},
            )


def is_own_origin(origin: str | None, host: str) -> bool:
    """Whether a request comes from no page, or from one of the server that its `Host` header names.

    Args:
        origin: Its `Origin` header; None if it has none.
        host: Its `Host` header.
    """
    try:
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def name_of(host: str) -> str:
    """The name or address of a `Host` header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
