"""The pages of a run at an address of this computer: two files and the pictures, and nothing else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pixelwise.errors import ResourceError
from pixelwise.records.pictures import PICTURES, read_pictures
from pixelwise.records.run_folder import LIVE, REPORT

HOST = "127.0.0.1"


@contextlib.contextmanager
def serving(run: Path, port: int) -> Iterator[str]:
    """Serve the pages of a run on this computer during the block.

    Args:
        run: The run folder.
        port: Port to listen at; 0 takes a free one.

    Yields:
        The address of the live page.

    Raises:
        ResourceError: S609, the port cannot be used.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), handler_of(run))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(
            "S609", f"port {port} of this computer cannot be used: {reason}", "name another `port`, or 0 for a free one"
        ) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/{LIVE}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def found_file(run: Path, path: str) -> tuple[Path, str] | None:
    """The file of a run that a path asks for and its media type; None for everything that is not for show.

    Args:
        run: The run folder.
        path: Path of the request, such as `/live.html` or `/pictures/image-1.webp`.
    """
    name = unquote(urlsplit(path).path).lstrip("/") or LIVE
    if name in (LIVE, REPORT):
        return run / name, "text/html; charset=utf-8"
    folder, _, picture = name.partition("/")
    if folder == PICTURES and picture in read_pictures(run).names():
        return run / PICTURES / picture, "image/webp"
    return None


def handler_of(run: Path) -> type[BaseHTTPRequestHandler]:
    """The class that answers requests for the pages of a run."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            # A page of the net that has its name resolve to this computer must not read the run.
            host = self.headers.get("Host", "").partition(":")[0]
            found = found_file(run, self.path) if host in (HOST, "localhost") else None
            try:
                content = found[0].read_bytes() if found is not None else b""
            except OSError:
                found, content = None, b""
            if found is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", found[1])
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if body:
                with contextlib.suppress(ConnectionError):  # the page was closed meanwhile
                    self.wfile.write(content)

        def log_message(self, format: str, *values: Any) -> None:
            """Nothing: the terminal belongs to the training."""

    return Handler
