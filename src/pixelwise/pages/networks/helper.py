"""A further process that works for the server, while there is something to do."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from pixelwise.machine.processes import give_way, without_main
from pixelwise.machine.signals import leave_signals_to_parent

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

_LONGEST_END = 5.0

Subject = TypeVar("Subject")
Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


class Ended(Exception):
    """The process ended before it answered: something killed it, or memory was short."""


class Helper(Generic[Subject]):
    """An object in a process of its own, which is started when the object is first asked for something.

    Requests are answered one after another; whoever asks meanwhile waits. Thread-safe.

    Args:
        make: Makes the object, in the process; it can be pickled.
        background: Whether the process gives way to all others.
    """

    def __init__(self, make: Callable[[], Subject], *, background: bool = False) -> None:
        self._make, self._background, self._lock = make, background, threading.Lock()
        self._until = 0.0
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._timer: threading.Timer | None = None
        self._closed = False

    def ask(
        self,
        keep: float,
        method: Callable[Concatenate[Subject, Arguments], Value],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Value:
        """Call a method of the object.

        Args:
            keep: Seconds that the process stays for another request, at least; then its memory is free again, and the
                next request starts another process, whose object is a new one.
            method: The method, as an attribute of the class.
            arguments: Its arguments, which can be pickled, as what it returns and raises.
            named: Likewise.

        Raises:
            Ended: The process ended before it answered, or the helper is closed.
            Exception: What the method raises.
        """
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            try:
                connection = self._connected()
                connection.send((method, arguments, named))
                found, value = connection.recv()
            except (EOFError, OSError) as error:
                self._end()
                raise Ended from error
            self._until = max(self._until, time.monotonic() + keep)
            self._timer = threading.Timer(self._until - time.monotonic(), self._rest)
            self._timer.daemon = True
            self._timer.start()
        if not found:
            raise value
        return value

    @property
    def is_running(self) -> bool:
        """Whether there is a process now."""
        process = self._process
        return process is not None and process.is_alive()

    def close(self) -> None:
        """End the process, whatever it does, and start no other one."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()  # whoever waits for its answer holds the lock, and is told that it ended
        with self._lock:
            self._end()

    def _connected(self) -> Connection:
        if self._connection is not None and not self.is_running:
            self._end()
        if self._closed:
            raise EOFError
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=_answer, args=(theirs, self._make, self._background), daemon=True)
            with without_main():
                self._process.start()
            theirs.close()
        return self._connection

    def _rest(self) -> None:
        # Whoever holds the lock asks for something, and starts another timer.
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()

    def _end(self) -> None:
        process, connection, self._process, self._connection = self._process, self._connection, None, None
        self._until = 0.0
        if connection is not None:
            connection.close()
        if process is not None:
            process.join(_LONGEST_END)  # it ends when nobody can ask it any more
            process.kill()
            process.join()


def _answer(parent: Connection, make: Callable[[], Any], background: bool) -> None:
    """The whole life of the process."""
    leave_signals_to_parent()
    if background:
        give_way()
    subject = make()
    with contextlib.suppress(EOFError, OSError):  # nobody asks any more
        while True:
            method, arguments, named = parent.recv()
            try:
                answer = True, method(subject, *arguments, **named)
            except Exception as error:  # whoever has asked knows what to do about it
                answer = False, error
            parent.send(answer)
