"""`devices=N`: a public function that is carried out by several processes of this host, and observed from this one."""

from __future__ import annotations

import contextlib
import pickle
import queue
import secrets
import shlex
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from pixelwise.errors import PixelwiseError, ResourceError
from pixelwise.observer import Observer
from pixelwise.ranks.options import LaunchOptions
from pixelwise.ranks.starting import Launch
from pixelwise.records.exits import read_exit, remove_exit
from pixelwise.storage import printable

AnyOptions = TypeVar("AnyOptions", bound=LaunchOptions)

MODULE = "pixelwise.api.process"
"""What the processes run."""
PATIENCE = 0.2
"""Seconds to wait for an event before looking whether the processes still run."""


class Call(msgspec.Struct, frozen=True):
    """A call of a public function.

    Attributes:
        function: Its name.
        arguments: Its positional arguments.
        keywords: Its keywords, without the observer.
        address: Where the first process reports what happens.
        key: Secret that it shows there.
        run: The run folder, if the call has one.
    """

    function: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    address: Any
    key: bytes
    run: Path | None


def unlaunched(options: AnyOptions) -> AnyOptions:
    """The options of the processes, which start no others."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(LaunchOptions)}
    return msgspec.structs.replace(options, **defaults)


class Event(msgspec.Struct, frozen=True):
    """What the first process reports.

    Attributes:
        kind: `observed`: an event for an observer; `returned`: the call returned; `failed`: it raised.
        name: Name of the observer's method.
        what: Its arguments, the returned value, or the error.
    """

    kind: Literal["observed", "returned", "failed"]
    name: str
    what: Any


def call_together(
    function: str,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    options: LaunchOptions,
    observer: Observer,
    run: Path | None,
) -> Any:
    """What a public function returns if several processes carry it out.

    Args:
        function: Name of the function in `pixelwise`.
        arguments: Its positional arguments.
        keywords: Its keywords, without the observer.
        options: How many processes, and where.
        observer: Receives the events of the first process.
        run: The run folder, whose `exit.json` says how the processes of other hosts ended.

    Raises:
        PixelwiseError: What the function raises; S610, a process died.
        KeyboardInterrupt: Ctrl-C was pressed twice.
    """
    if run is not None:
        remove_exit(run)
    with tempfile.TemporaryDirectory(prefix="pixelwise-", ignore_cleanup_errors=True) as folder, _hearing() as heard:
        call = Call(function, arguments, keywords, heard.address, heard.key, run)
        request = Path(folder) / "call.pickle"
        request.touch(0o600)  # it holds the key
        request.write_bytes(pickle.dumps(call))
        launch = Launch([MODULE, str(request)], options)
        ends: list[Event] = []

        def pass_on(wait: float = PATIENCE) -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    event = heard.events.get(timeout=wait)
                    if event.kind == "observed":
                        getattr(observer, event.name)(*event.what)
                    else:
                        ends.append(event)

        status = launch.wait(pass_on)
        heard.finish()
        pass_on(0.0)
    return _result(ends, launch, status, run)


def _result(ends: list[Event], launch: Launch, status: int, run: Path | None) -> Any:
    if ends and ends[-1].kind == "failed":
        raise ends[-1].what
    if ends and status == 0:
        return ends[-1].what
    told = read_exit(run) if run is not None else None
    if told is not None and told.exit_code:  # the first process runs on another host
        error = PixelwiseError(told.code, told.message, told.help)
        error.exit_code = told.exit_code
        raise error
    if status == 0:
        return None
    if launch.interrupted:
        raise KeyboardInterrupt
    how = launch.death.reason if launch.death else f"status {status}"
    again = (
        f"continue from the last checkpoint with pixelwise resume {shlex.quote(printable(run))}, and"
        if run
        else "run it again;"
    )
    raise ResourceError(
        "S610",
        f"a process of those that work together died: {how}",
        f"see the messages above; {again} `restarts` goes on by itself",
    )


class _Heard:
    """Receives the events of the first process in a thread."""

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.events: queue.Queue[Event] = queue.Queue()
        self._listener = Listener(authkey=self.key)
        self._closed = False
        self._receiving: list[threading.Thread] = []
        self.address = self._listener.address
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError, AuthenticationError):  # closed, or somebody without the key
                continue
            self._receiving.append(threading.Thread(target=self._receive, args=(connection,), daemon=True))
            self._receiving[-1].start()

    def _receive(self, connection: Connection) -> None:
        with connection, contextlib.suppress(EOFError, OSError):
            while True:
                self.events.put(connection.recv())

    def finish(self) -> None:
        """Wait for what processes have sent that ended since."""
        for one in self._receiving:
            one.join(timeout=5.0)

    def close(self) -> None:
        """Hear nothing more."""
        self._closed = True
        self._listener.close()


@contextlib.contextmanager
def _hearing() -> Iterator[_Heard]:
    heard = _Heard()
    try:
        yield heard
    finally:
        heard.close()
