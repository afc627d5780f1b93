"""The start method of worker processes, and the host name."""

from __future__ import annotations

import platform
import sys
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


def host_name() -> str:
    """Network name of this computer; empty if unknown."""
    return platform.node()
