"""The start method of worker processes, spawned processes without the user's script, and which processes run."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

START_METHOD: Literal["fork", "spawn"] = "fork" if sys.platform == "linux" else "spawn"
"""Start method of the data-loading processes.

A forked process shares its parent's memory. Windows cannot fork, and on macOS the system libraries do not survive a
fork; there a new interpreter is spawned, which receives its data pickled.
"""
FORKS = START_METHOD == "fork"
"""Whether loader processes share this process's memory instead of receiving pickled copies."""
_without_main = threading.Lock()
"""Held by the thread that has put the script aside; another one would take what stands there for the script."""
GUARD = "if __name__ == '__main__':"
"""Guard that a script needs around its calls if processes are spawned, because they import the script again."""


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Let processes that are spawned within the block not import the script that runs.

    A spawned process imports `__main__` again, so a script without `GUARD` would start all over in each of them. What
    such a process runs must be importable from a module of its own.
    """
    with _without_main:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")  # it has neither a file nor a spec to import again
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let processes that are started within the block have these environment variables, too."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it and they have started, and wait for it."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for one in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def give_way() -> None:
    """Let other processes have the processor before this one, as far as the system does that."""
    import psutil

    lower = getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 5)  # of Windows; elsewhere a higher number is nicer
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process().nice(lower)


def host_name() -> str:
    """Network name of this computer; empty if unknown."""
    return platform.node()


def process_mark() -> str:
    """Text that identifies this process: `place-pid-start`, of letters and digits.

    The place is that of the process number: a computer since its last start, or a container on it. The start tells
    processes apart that had the same number.
    """
    pid = os.getpid()
    return f"{_place()}-{pid}-{_start_of(pid)}"


def is_running(mark: str) -> bool | None:
    """Whether the process with this mark is running; None if that cannot be known here, as of another computer.

    Args:
        mark: Text from `process_mark`, or any other.
    """
    place, _, rest = mark.partition("-")
    pid, _, start = rest.partition("-")
    if place != _place() or not pid.isdecimal() or sys.platform == "win32":  # there, asking with os.kill would kill
        return None
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to another user
        return True
    return _start_of(int(pid)) == start


@functools.cache
def _place() -> str:
    facts = [host_name()]
    with contextlib.suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii"))
        facts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:8]


def _start_of(pid: int) -> str:
    """Start of a running process in ticks since the start of the computer; `0` where the system does not say."""
    try:
        # The name in parentheses may contain spaces and parentheses itself.
        facts = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return facts[19].decode("ascii")
    except (OSError, IndexError):
        return "0"


def after_fork(call: Callable[[], None]) -> None:
    """Call a function in every process that is forked from this one; where nothing is forked, never."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)
