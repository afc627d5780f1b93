"""Who may see the pages: browsers of this computer that know the token. Every answer says what a page may load."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from pixelwise.serving.access import LOOPBACK, is_own_origin, name_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

TOKEN = "token"
"""Name of the token in addresses."""
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Headers of every answer. Nothing is loaded from elsewhere, and no script or style within a page is run or used."""
_METHODS = ("GET", "HEAD")
_TAKING = ("/try/",)
"""Beginnings of the paths that take what a page of this server sends (POST)."""


def new_token() -> str:
    """A token that cannot be guessed: 256 random bits."""
    return secrets.token_urlsafe(32)


class Guard:
    """An ASGI application in front of another one, which it calls for requests that may be answered.

    A request has to name this computer as its host, may come from no page of another origin, may only read (but for
    paths that take what pages send; such a request has to state that it comes from one of them), and has to bring the
    token: in the address, which is answered by a cookie and the same address without it, or in that cookie.
    A `PUT` to one of the addresses that can be written has to come from a page of this origin, too.

    Args:
        app: The application behind.
        token: The token.
        cookie: Name of the cookie. Browsers send cookies to every port of a host, so each server needs its own name.
        writable: The addresses that can be written; None if there are none.
    """

    def __init__(self, app: App, token: str, cookie: str, writable: re.Pattern[str] | None = None) -> None:
        self._app, self._token, self._cookie, self._writable = app, token, cookie, writable

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if name_of(headers.get("host", "")) not in LOOPBACK:
            await _refuse(send, 421, "This address is not one of this computer's names.")
        elif not is_own_origin(headers.get("origin"), headers.get("host", "")):
            await _refuse(send, 403, "Pages of other origins may not ask.")
        elif not (scope["method"] in _METHODS or _is_taken(scope, headers) or self._may_write(scope, headers)):
            await _refuse(send, 405, "These pages can only be read.")
        elif any(name == TOKEN and self._is_token(value) for name, value in query):
            rest = urlencode([(name, value) for name, value in query if name != TOKEN])
            await self._let_in(send, f"{_own_path(scope['path'])}{'?' if rest else ''}{rest}")
        elif not self._is_token(cookie_of(headers.get("cookie", ""), self._cookie)):
            await _refuse(send, 403, "Open the address that `pixelwise ui` has printed: it contains a token.")
        else:
            await self._app(scope, receive, _with_headers(send))

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), self._token.encode())

    def _may_write(self, scope: Message, headers: dict[str, str]) -> bool:
        """Whether a page of this origin, which browsers name with every `PUT`, writes to an address that is for it."""
        known = scope["method"] == "PUT" and self._writable is not None and self._writable.fullmatch(scope["path"])
        return (
            bool(known)
            and bool(headers.get("origin"))
            and headers.get("sec-fetch-site", "same-origin") == "same-origin"
        )

    async def _let_in(self, send: Send, address: str) -> None:
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        await _answer(send, 303, "", {"location": address, "set-cookie": cookie})


def _is_taken(scope: Message, headers: dict[str, str]) -> bool:
    """Whether a request that sends something may be answered: a POST of one of our pages, as its origin has to say."""
    return scope["method"] == "POST" and scope["path"].startswith(_TAKING) and "origin" in headers


def cookie_of(header: str, name: str) -> str:
    """The value of a cookie in a `Cookie` header; empty if there is none."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _own_path(path: str) -> str:
    """The path of a redirect: one slash at its beginning, as two would name another host."""
    return "/" + quote(path.lstrip("/\\"))


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_encoded(HEADERS)]
        await send(message)

    return sending


async def _refuse(send: Send, status: int, reason: str) -> None:
    await _answer(send, status, reason, {"content-type": "text/plain; charset=utf-8"})


async def _answer(send: Send, status: int, text: str, headers: dict[str, str]) -> None:
    body = text.encode()
    every = {**HEADERS, "cache-control": "no-store", "content-length": str(len(body)), **headers}
    await send({"type": "http.response.start", "status": status, "headers": _encoded(every)})
    await send({"type": "http.response.body", "body": body})


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
