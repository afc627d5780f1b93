"""The process of a server: its port, its workers, its signals, and its end, which loses nothing that was taken."""

from __future__ import annotations

import contextlib
import functools
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from pixelwise.errors import ResourceError
from pixelwise.machine.signals import handled
from pixelwise.machine.threads import default_threads, usable_cores
from pixelwise.observer import SILENT, Observer
from pixelwise.runtimes.packages import require
from pixelwise.serving.messages import Model
from pixelwise.serving.metrics import Metrics
from pixelwise.serving.options import ServeOptions
from pixelwise.serving.pool import Pool
from pixelwise.serving.worker import Job, Worker
from pixelwise.storage import portable

INSTALL = "pixelwise[serve]"
"""Requirement for `pip install` that brings the packages of a server."""
MOST_WORKERS = 8
"""Number of workers that are started at most, unless a number is given: each holds PyTorch and the network."""
ON_GPU = 2
"""Number of workers on a GPU: one decodes while the other one predicts."""
MOST_CONNECTIONS = 1024
WAITING_CONNECTIONS = 128
"""Number of connections that the system holds until they are accepted."""
_NAMELESS = re.compile(r"[^A-Za-z0-9._-]+")


def serve_model(run: Path, options: ServeOptions, observer: Observer = SILENT) -> None:
    """Serve a model until the process is told to stop (Ctrl-C, SIGTERM).

    Args:
        run: Run folder or artefact.
        options: Options of the server.
        observer: Receives the address as a phase, and warnings.

    Raises:
        RecipeError: R240, the packages of a server are not installed; R290, other computers could reach it without a
            token.
        ResourceError: S609, the port cannot be used; S613, a worker cannot load the model.
        PixelwiseError: The model cannot be loaded.
    """
    options.refuse_open_doors()
    for package in ("starlette", "uvicorn", "python_multipart"):
        require(package, "serving a model", INSTALL)
    from pixelwise.serving.app import application
    from pixelwise.serving.service import Service

    metrics = Metrics()
    with contextlib.closing(bound(options.host, options.port)) as door:
        pool = pool_of(run.absolute(), options, metrics, observer)
        observer.phase("loading the model")
        pool.start()
        try:
            service = Service(pool, options, options.name or name_of(run), metrics)
            # From now on clients can connect; they are answered as soon as the loop runs.
            door.listen(WAITING_CONNECTIONS)
            observer.phase(f"serving {address_of(door)} with {pool.ready} workers (Ctrl-C ends it)")
            _listen(application(service), door, options, pool)
        finally:
            pool.close()


def pool_of(run: Path, options: ServeOptions, metrics: Metrics, observer: Observer) -> Pool:
    """The workers of a server, which are not started yet."""
    cores = usable_cores()
    wished = options.workers or min(cores, MOST_WORKERS)
    job = Job(
        run=run,
        threads=max(1, min(default_threads(), cores // wished)),
        max_pixels=options.max_pixels,
        device=options.device,
        window=options.window,
        overrides=options.overrides,
        trust=options.trust,
    )

    def number(model: Model) -> int:
        return options.workers or (wished if model.device == "cpu" else ON_GPU)

    return Pool(functools.partial(Worker, job, options.timeout, observer), number, options.batch, metrics, observer)


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address; nobody can connect to it before it listens.

    Raises:
        ResourceError: S609, the address cannot be used.
    """
    found: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        if found is not None:
            found.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(
            "S609",
            f"port {port} of {host} cannot be used: {reason}",
            "name another `port`, or 0 for a free one; `host` has to be an address of this computer",
        ) from error
    return found


def address_of(door: socket.socket) -> str:
    """`http://127.0.0.1:8000`, for a socket."""
    host, port = door.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def name_of(run: Path) -> str:
    """A name for a model in paths: that of its folder, with hyphens for what addresses would have to escape."""
    found = run.absolute()
    if found.is_file():
        found = found.parent
    return _NAMELESS.sub("-", portable(found.name)).strip("-._") or "model"


def _listen(app: object, door: socket.socket, options: ServeOptions, pool: Pool) -> None:
    """Answer requests until a signal says stop; then finish those that were taken."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # Uvicorn would raise the signals again at its end; whoever stops a server this way wants status 0.
            def reload() -> None:
                threading.Thread(target=pool.reload_in_background, name="reload", daemon=True).start()

            def stop() -> None:
                self.force_exit, self.should_exit = self.should_exit, True

            # To a program in a terminal it says that the terminal is gone.
            hang_up = stop if sys.stdin is not None and sys.stdin.isatty() else reload
            with handled({"SIGINT": stop, "SIGTERM": stop, "SIGBREAK": stop, "SIGHUP": hang_up}):
                yield

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
    )
    Server(config).run([door])
