"""The signals by which a system asks a program to stop, and those that its helpers leave to it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

_BY_TERMINAL = ("SIGINT", "SIGUSR1", "SIGBREAK")


def stop_signals() -> tuple[signal.Signals, ...]:
    """Those that ask a run to stop, as far as this system has them.

    SIGINT is Ctrl-C; SIGTERM comes from whoever ends processes; SIGUSR1 is what batch schedulers send some time before
    they kill a job; SIGBREAK is Windows's for Ctrl-Break and for a window that is closed.
    """
    return _existing("SIGINT", "SIGTERM", "SIGUSR1", "SIGBREAK")


def leave_signals_to_parent() -> None:
    """In a helper process: ignore what reaches the whole group, which the parent answers, and end on SIGTERM.

    SIGTERM is how PyTorch's loader ends its processes, so a handler of the parent's must not be inherited.
    """
    for number in _existing(*_BY_TERMINAL):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def own_child_handler() -> Iterator[None]:
    """Undo what the block changes about the signal that tells of a child's end, where the system has one."""
    numbers = _existing("SIGCHLD")
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            with contextlib.suppress(ValueError):  # only the main thread may set handlers
                signal.signal(number, handler)


def _existing(*names: str) -> tuple[signal.Signals, ...]:
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))
