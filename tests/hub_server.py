"""A small Hugging Face hub on this machine: listings in pages, and files on another host to which it redirects."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from listening import listening

TOKEN = "hf_nobody-may-see-this"


class Hub:
    """What the hub holds, and what was asked.

    Attributes:
        folder: The files of the data set `owner/name`.
        commit: The commit to which `main` leads.
        endpoint: Its address, as in `HF_ENDPOINT`.
        private: Whether listings and files need `TOKEN`.
        page: Number of files of a page of a listing.
        failures: Number of listings that are still answered with 503.
        requests: Host (`hub` or `files`), path and authorization of every request.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commit = "1" * 40
        self.endpoint, self.files = "", ""
        self.private = False
        self.page = 3
        self.failures = 0
        self.requests: list[tuple[str, str, str | None]] = []

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request to the hub."""
        parts, token = urlsplit(handler.path), handler.headers.get("Authorization")
        path = unquote(parts.path)
        self.requests.append(("hub", path, token))
        api, files = "/api/datasets/owner/name/", "/datasets/owner/name/resolve/"
        if self.private and token != f"Bearer {TOKEN}":
            handler.send_error(401)
        elif self.failures:
            self.failures -= 1
            handler.send_error(503)
        elif path == f"{api}revision/main" or path == f"{api}revision/{self.commit}":
            _send(handler, json.dumps({"sha": self.commit}).encode())
        elif path.startswith(f"{api}tree/{self.commit}"):
            folder = path.removeprefix(f"{api}tree/{self.commit}").strip("/")
            self._list(handler, folder, int(parse_qs(parts.query).get("cursor", ["0"])[0]))
        elif path.startswith(f"{files}{self.commit}/"):
            handler.send_response(302)
            handler.send_header("Location", f"{self.files}/{quote(path.removeprefix(f'{files}{self.commit}/'))}?sig=1")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            handler.send_error(404)

    def _list(self, handler: http.server.BaseHTTPRequestHandler, folder: str, start: int) -> None:
        found = [{"type": "directory", "path": "data", "oid": "0", "size": 0}]
        for path in sorted(one for one in (self.folder / folder).rglob("*") if one.is_file()):
            content = path.read_bytes()
            name = path.relative_to(self.folder).as_posix()
            one = {"type": "file", "path": name, "oid": hashlib.sha1(content).hexdigest(), "size": len(content)}
            found.append(one | {"lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}})
        end = start + self.page
        more = f"{self.endpoint}{urlsplit(handler.path).path}?recursive=true&cursor={end}"
        link = {"Link": f'<{more}>; rel="next"'} if end < len(found) else {}
        _send(handler, json.dumps(found[start:end]).encode(), link)

    def deliver(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request to the host of the files."""
        parts = urlsplit(handler.path)
        self.requests.append(("files", parts.path, handler.headers.get("Authorization")))
        content = (self.folder / unquote(parts.path).lstrip("/")).read_bytes()
        first, last = (int(one) for one in handler.headers["Range"].removeprefix("bytes=").split("-"))
        last = min(last, len(content) - 1)
        _send(handler, content[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(content)}"}, 206)


def _send(
    handler: http.server.BaseHTTPRequestHandler,
    content: bytes,
    headers: dict[str, str] | None = None,
    status: int = 200,
) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


@contextlib.contextmanager
def hub_of(folder: Path) -> Iterator[Hub]:
    """Serve the files of a folder as the data set `owner/name` until the block ends."""
    hub = Hub(folder)
    with _serving(hub.answer) as endpoint, _serving(hub.deliver) as files:
        hub.endpoint, hub.files = endpoint, files
        yield hub


@contextlib.contextmanager
def _serving(answer) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with listening(Handler) as address:
        yield address
