"""The server of the pages: on this computer alone, until Ctrl-C."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from pixelwise.pages.access import TOKEN, new_token
from pixelwise.pages.app import application
from pixelwise.serving.server import bound

HOST = "127.0.0.1"


def serve(
    folders: Sequence[Path],
    port: int,
    ready: Callable[[str], None],
    *,
    data: Sequence[Path] = (),
    edit: bool = False,
) -> None:
    """Serve the pages until Ctrl-C.

    Args:
        folders: Folders of runs, and of data that may be shown.
        port: Port to listen at; 0 takes a free one.
        ready: Called with the address of the first page, token included, when browsers can connect.
        data: Data folders whose images and masks are shown.
        edit: Whether these masks may be changed.

    Raises:
        ResourceError: S609, the port cannot be used.
    """
    with contextlib.closing(listening(port)) as listener:
        taken = listener.getsockname()[1]
        token = new_token()
        app = application(folders, token, cookie=f"pixelwise-{taken}", data=data, edit=edit)
        settings = uvicorn.Config(app, log_level="error", lifespan="off", server_header=False, access_log=False)
        ready(f"http://{HOST}:{taken}/{'fix' if edit else 'runs'}?{TOKEN}={token}")
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(settings).run(sockets=[listener])


def listening(port: int) -> socket.socket:
    """A socket that listens at a port of this computer; connections wait in it until they are served.

    Raises:
        ResourceError: S609, the port cannot be used.
    """
    listener = bound(HOST, port)
    listener.listen()
    return listener
