"""The server of the pages: on this computer alone, until Ctrl-C."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from pixelwise.machine.signals import handled
from pixelwise.pages.access import TOKEN, new_token
from pixelwise.pages.app import Site, application
from pixelwise.serving.server import bound
from pixelwise.storage.spilled import remove_spilled

HOST = "127.0.0.1"


def serve(
    folders: Sequence[Path],
    port: int,
    ready: Callable[[str], None],
    data: Sequence[Path] = (),
    edit: bool = False,
) -> None:
    """Serve the pages until Ctrl-C.

    Args:
        folders: Folders of runs, and of data that may be shown.
        port: Port to listen at; 0 takes a free one.
        ready: Called with the address of the first page, token included, when browsers can connect.
        data: Data sets that have pages of their own. Without folders of runs, the first page is theirs.
        edit: Whether masks of these data sets may be changed; the first page is then the label editor.

    Raises:
        ResourceError: S609, the port cannot be used.
    """
    asked = threading.Event()
    # From here on, threads import modules. Ctrl-C as an exception within an import here would leave them waiting.
    with contextlib.closing(listening(port)) as listener, handled({"SIGINT": asked.set}):
        taken = listener.getsockname()[1]
        token = new_token()
        remove_spilled()
        site = Site(folders, data, edit)
        app = application(folders, token, f"pixelwise-{taken}", site=site)
        settings = uvicorn.Config(app, log_level="error", lifespan="off", server_header=False, access_log=False)
        ready(f"http://{HOST}:{taken}/{'fix' if edit else 'runs' if folders else 'data'}?{TOKEN}={token}")
        with contextlib.closing(site):
            Server(settings, site, asked).run(sockets=[listener])


class Server(uvicorn.Server):
    """A server whose open pages do not keep it from ending.

    Args:
        settings: Settings of the server.
        site: What its pages are made of.
        asked: Set if the server is to end as soon as it has begun.
    """

    def __init__(self, settings: uvicorn.Config, site: Site, asked: threading.Event | None = None) -> None:
        super().__init__(settings)
        self._site, self._asked = site, asked or threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, unless the server was asked to end before it heeded signals itself."""
        await super().startup(sockets)
        self.should_exit = self.should_exit or self._asked.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the events of open pages, then all connections."""
        self._site.live.streams.end()
        await super().shutdown(sockets)


def listening(port: int) -> socket.socket:
    """A socket that listens at a port of this computer; connections wait in it until they are served.

    Raises:
        ResourceError: S609, the port cannot be used.
    """
    listener = bound(HOST, port)
    listener.listen()
    return listener
