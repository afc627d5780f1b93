"""A server of a folder on this machine that answers as object stores do: ranges, tags, latency, faults."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from listening import listening


class Server:
    """What a server was asked, and how it answers.

    Attributes:
        address: `http://127.0.0.1:PORT/photos`, for the folder.
        latency: Seconds before every answer.
        query: What every request has to carry; otherwise it is refused.
        failures: Number of requests that are still answered with 503.
        ranges: Whether ranges are answered; otherwise the whole file is.
        requests: `METHOD PATH RANGE` of every request.
        busiest: Largest number of requests at the same time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.latency = 0.0
        self.query = ""
        self.failures = 0
        self.ranges = True
        self.requests: list[str] = []
        self.busiest = 0
        self._now = 0
        self._lock = threading.Lock()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        with self._lock:
            self._now += 1
            self.busiest = max(self.busiest, self._now)
            parts = urlsplit(handler.path)
            self.requests.append(f"{handler.command} {parts.path} {handler.headers.get('Range', '')}".strip())
            failing = self.failures > 0
            self.failures -= failing
        try:
            time.sleep(self.latency)
            path = self.folder / unquote(parts.path).removeprefix("/photos/")
            if failing:
                handler.send_error(503)
            elif parts.query != self.query:
                handler.send_error(403)
            elif not path.is_file():
                handler.send_error(404)
            else:
                self._send(handler, path.read_bytes())
        finally:
            with self._lock:
                self._now -= 1

    def _send(self, handler: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        wanted = handler.headers.get("Range") if self.ranges else None
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            begin, end = int(first), min(int(last or len(content)), len(content) - 1)
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
            content = content[begin : end + 1]
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("ETag", tag)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve a folder until the block ends."""
    server = Server(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.answer(self)

        def do_HEAD(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with listening(Handler) as address:
        server.address = f"{address}/photos"
        yield server
