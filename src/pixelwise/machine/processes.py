"""The start method of worker processes, spawned processes without the user's script, and the host name."""

from __future__ import annotations

import contextlib
import platform
import sys
import types
from collections.abc import Iterator
from typing import Literal

START_METHOD: Literal["fork", "spawn"] = "fork" if sys.platform == "linux" else "spawn"
"""Start method of the data-loading processes.

A forked process shares its parent's memory. Windows cannot fork, and on macOS the system libraries do not survive a
fork; there a new interpreter is spawned, which receives its data pickled.
"""
FORKS = START_METHOD == "fork"
"""Whether loader processes share this process's memory instead of receiving pickled copies."""
GUARD = "if __name__ == '__main__':"
"""Guard that a script needs around its calls if processes are spawned, because they import the script again."""


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Let processes that are spawned within the block not import the script that runs.

    A spawned process imports `__main__` again, so a script without `GUARD` would start all over in each of them. What
    such a process runs must be importable from a module of its own.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")  # it has neither a file nor a spec to import again
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def host_name() -> str:
    """Network name of this computer; empty if unknown."""
    return platform.node()
