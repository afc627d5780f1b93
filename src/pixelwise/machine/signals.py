"""Signals that ask a program to stop, and signals that worker processes leave to their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping

LOOKS_EVERY = 1.0
"""Seconds between two looks at whether the parent is still there."""
_BY_TERMINAL = ("SIGINT", "SIGUSR1", "SIGBREAK")


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a run to stop, as far as this system has them.

    SIGINT is Ctrl-C; SIGTERM is the usual request to terminate; SIGUSR1 is sent by batch schedulers some time before
    they kill a job; SIGBREAK is sent on Windows for Ctrl-Break and when the console window is closed.
    """
    return _existing("SIGINT", "SIGTERM", "SIGUSR1", "SIGBREAK")


def leave_signals_to_parent() -> None:
    """In a worker process: ignore signals sent to the whole process group, which the parent handles; end on SIGTERM.

    PyTorch's data loader ends its workers with SIGTERM, so they must not inherit the parent's handler.
    """
    for number in _existing(*_BY_TERMINAL):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def ignore_schedulers() -> None:
    """Ignore the signal that batch schedulers send some time before they kill a job; a parent handles it."""
    for number in _existing("SIGUSR1"):
        signal.signal(number, signal.SIG_IGN)


def stop_with_parent() -> None:
    """Let this process be asked to stop (SIGTERM) once its parent is gone, as far as the system says so."""
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOKS_EVERY)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, daemon=True).start()


@contextlib.contextmanager
def handled(acts: Mapping[str, Callable[[], None]]) -> Iterator[None]:
    """Call functions when signals arrive within the block; elsewhere than in the main thread, which alone may, nothing.

    Args:
        acts: Name of a signal, which this system may lack -> what it does.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name, act in acts.items():
            for number in _existing(name):
                before[number] = signal.signal(number, lambda *_, act=act: act())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def own_child_handler() -> Iterator[None]:
    """Restore the handler of SIGCHLD after the block, on systems that have this signal."""
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
