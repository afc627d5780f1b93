"""How much memory may still be used."""

from __future__ import annotations

import os
from pathlib import Path

_UNLIMITED = 1 << 60


def available_memory() -> int:
    """Bytes that can be allocated without swapping: page cache counts as free, a container's limit holds.

    Half of the main memory where the system does not say.
    """
    return min(_available_on_machine(), _left_in_container())


def _available_on_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # not Linux
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _left_in_container() -> int:
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text("ascii"))
        return max(0, int(limit) - used) if limit != "max" else _UNLIMITED
    except (OSError, ValueError):
        return _UNLIMITED  # no container, or one that does not say
