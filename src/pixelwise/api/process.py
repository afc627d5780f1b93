"""`python -m pixelwise.api.process CALL`: one of the processes that carry out a call of `pixelwise.api.together`."""

from __future__ import annotations

import contextlib
import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.api.together import Call, Event
from pixelwise.errors import PixelwiseError
from pixelwise.machine.launched import is_first
from pixelwise.machine.signals import stop_with_parent
from pixelwise.observer import SILENT, Observer
from pixelwise.ranks.joining import has_lost_others
from pixelwise.ranks.launcher import LOST_OTHERS
from pixelwise.records.exits import read_exit
from pixelwise.records.run_folder import is_run
from pixelwise.training.options import ResumeOptions

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


class Reporting(Observer):
    """Observer that sends every event to the process that started this one.

    Args:
        connection: To that process; events are dropped once it is gone.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def send(self, event: Event) -> None:
        """Send an event; threads may do so at the same time."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.send(event)


def _reporting(name: str) -> Any:
    def report(self: Reporting, *what: Any) -> None:
        self.send(Event("observed", name, what))

    return report


for _name in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Reporting, _name, _reporting(_name))


def main(arguments: Sequence[str]) -> int:
    """Carry out the call of a file; returns 0 unless the launcher should see that something went wrong.

    An error that has been reported is none to the launcher, which would start the processes again.
    """
    # Nobody would hear of what is done once the launcher is gone, nor start a process again that dies.
    stop_with_parent()
    call = continuing(pickle.loads(Path(arguments[0]).read_bytes()))
    import pixelwise

    try:
        return _carry_out(call, getattr(pixelwise, call.function))
    except KeyboardInterrupt:
        return INTERRUPTED
    except RuntimeError as error:
        if not has_lost_others(error):
            raise
        return LOST_OTHERS  # the launcher says which process died, if it was one of this host


def continuing(call: Call) -> Call:
    """The call, which goes on with a run that earlier processes of it have begun, on this host or another.

    The caller has refused a folder that held a run before.
    """
    if call.function != "train" or call.run is None or not is_run(call.run):
        return call
    options = ResumeOptions(evaluate=call.keywords["options"].evaluate)
    return msgspec.structs.replace(call, function="resume", arguments=(call.run,), keywords={"options": options})


def _carry_out(call: Call, function: Callable[..., Any]) -> int:
    if not is_first():
        try:
            function(*call.arguments, **call.keywords, observer=SILENT)
        except PixelwiseError as error:
            told = read_exit(call.run) if call.run is not None else None
            return 0 if told is not None and told.code == error.code else error.exit_code
        return 0
    with Client(call.address, authkey=call.key) as connection:
        reporting = Reporting(connection)
        try:
            found = function(*call.arguments, **call.keywords, observer=reporting)
        except PixelwiseError as error:
            reporting.send(Event("failed", "", error))
            return 0
        reporting.send(Event("returned", "", found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
