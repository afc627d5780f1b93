"""Signals that stop a run at the next step boundary."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from collections.abc import Iterator
from types import FrameType

from pixelwise.errors import StoppedError
from pixelwise.machine.launched import is_first
from pixelwise.machine.signals import stop_signals


class StopRequest:
    """Flag that is true once a signal has asked the run to stop; remembers which signal it was."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def error(self, run: str, step: int) -> StoppedError:
        """The error that ends the command, with exit code 130 after Ctrl-C and 75 after other signals."""
        name = self.signal.name if self.signal else "no signal"
        interrupted = self.signal is signal.SIGINT
        by = "" if interrupted else f"by {name} "
        return StoppedError(
            "I130" if interrupted else "I075",
            f"stopped {by}after step {step}, saved",
            f"continue with: pixelwise resume {shlex.quote(run)}",
            exit_code=130 if interrupted else 75,
        )


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the signals that ask a run to stop into a flag; a second Ctrl-C stops at once."""
    request = StopRequest()

    def ask(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and request.signal is signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = signal.Signals(number)
        # Written past Python's buffers, which a signal handler must not touch.
        if is_first():
            os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")

    before = {}
    try:
        for number in stop_signals():
            # Only the main thread may set handlers; in other threads the run cannot be stopped by signals.
            with contextlib.suppress(ValueError):
                before[number] = signal.signal(number, ask)
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
