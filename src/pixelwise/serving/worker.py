"""A worker process as the server sees it."""

from __future__ import annotations

import contextlib
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pixelwise.errors import CheckpointError, DataError, PixelwiseError, RecipeError, ResourceError
from pixelwise.machine.processes import environment, without_main
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.sizes import Size
from pixelwise.serving.messages import Done, Failed, Finished, Model, Order, Reply, Warned, decode_reply, encode

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LONGEST_LOADING = 600.0
"""Seconds that a worker may take to load its model."""
LONGEST_END = 5.0
"""Seconds that a worker may take to end by itself."""
_ERRORS: dict[str, type[PixelwiseError]] = {
    "R": RecipeError, "D": DataError, "K": CheckpointError, "S": ResourceError,
}  # fmt: skip

_starting = threading.Lock()


class Job(NamedTuple):
    """What a worker is for.

    Attributes:
        run: Run folder or artefact.
        threads: Number of CPU threads of this worker.
        max_pixels: Most pixels of an image.
        device: As `ServeOptions`, likewise the following.
        window: (height, width) of sliding windows.
        overrides: Settings for reading images.
        trust: Whether the artefact may run code.
    """

    run: Path
    threads: int
    max_pixels: int
    device: str = "auto"
    window: Size | None = None
    overrides: tuple[str, ...] = ()
    trust: bool = False


class Died(Exception):
    """The process has ended, or answers what no worker answers."""


class TookTooLong(Exception):
    """The process has not answered for longer than it may."""


class Worker:
    """A process that predicts; the methods are called by one thread.

    Args:
        job: What it is for.
        timeout: Seconds between two of its answers, at most.
        observer: Receives its warnings.
    """

    def __init__(self, job: Job, timeout: float, observer: Observer = SILENT) -> None:
        self._timeout, self._observer = timeout, observer
        # A process that is killed leaves its files; they are removed with this object's folder.
        self._folder = tempfile.TemporaryDirectory(prefix="pixelwise-serve-")
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, job, Path(self._folder.name)), daemon=True)
        # Both change something of the whole server, whose other threads may be starting workers, too.
        with _starting, environment({"OMP_NUM_THREADS": str(job.threads)}), without_main():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        """Number of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._process.is_alive()

    def load(self) -> Model:
        """Wait until the model is loaded.

        Raises:
            Died: The process has ended.
            TookTooLong: It is still loading after `LONGEST_LOADING`.
            PixelwiseError: The model cannot be loaded.
        """
        reply = self._receive(LONGEST_LOADING)
        if isinstance(reply, Failed):
            raise _ERRORS.get(reply.code[:1], PixelwiseError)(reply.code, reply.message, reply.help)
        if not isinstance(reply, Model):
            raise Died
        return reply

    def work(self, orders: Sequence[Order], answered: Callable[[Done | Failed], None]) -> None:
        """Have orders answered.

        Args:
            orders: The orders.
            answered: Receives the reply to each of them.

        Raises:
            Died: The process has ended before all were answered.
            TookTooLong: It has not answered for longer than it may.
        """
        try:
            self._connection.send_bytes(encode(orders))
        except OSError as error:
            raise Died from error
        while not isinstance(reply := self._receive(self._timeout), Finished):
            if isinstance(reply, Model):
                raise Died
            answered(reply)

    def _receive(self, timeout: float) -> Model | Done | Failed | Finished:
        """The next reply; warnings are passed on."""
        until = time.monotonic() + timeout
        try:
            while True:
                if not self._connection.poll(max(0.0, until - time.monotonic())):
                    raise TookTooLong
                reply: Reply = decode_reply(self._connection.recv_bytes())
                if not isinstance(reply, Warned):
                    return reply
                self._observer.warn(reply.code, reply.message)
        except (EOFError, OSError, msgspec.MsgspecError) as error:
            raise Died from error

    def end(self, *, at_once: bool = False) -> None:
        """End the process, and remove its files.

        Args:
            at_once: Kill it. Otherwise it has `LONGEST_END` seconds to end by itself.
        """
        self._connection.close()
        if not at_once:
            self._process.join(LONGEST_END)
        self._process.kill()
        self._process.join()
        with contextlib.suppress(OSError):
            self._folder.cleanup()


def _run(parent: Connection, job: Job, scratch: Path) -> None:
    """The whole life of the process. PyTorch is imported here, never in the server."""
    from pixelwise.serving.work import run

    run(parent, job, scratch)
