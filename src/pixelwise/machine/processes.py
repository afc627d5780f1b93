"""How helper processes begin, and where this one runs."""

from __future__ import annotations

import platform
import sys
from typing import Literal

START_METHOD: Literal["fork", "spawn"] = "fork" if sys.platform == "linux" else "spawn"
"""How processes that load data begin.

A fork shares everything in memory with its parent. Windows has none, and on macOS the system's own libraries do not
survive it; there a new interpreter is started, which gets what it needs pickled.
"""
FORKS = START_METHOD == "fork"
"""Whether they see this process's memory, instead of getting copies."""
GUARD = "if __name__ == '__main__':"
"""What a script needs around its calls where processes are spawned: they import the script again."""


def host_name() -> str:
    """What this computer calls itself; empty where it does not say."""
    return platform.node()
