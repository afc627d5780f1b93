"""How much memory may still be used, and whether what is freed stays with the process."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

_UNLIMITED = 1 << 60
# Options of glibc's mallopt(3), from <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def available_memory() -> int:
    """Bytes that can be allocated without swapping: page cache counts as free, a container's limit holds.

    Half of the main memory where the system does not say.
    """
    return min(_available_on_machine(), _left_in_container())


def keep_freed_memory() -> bool:
    """Let the C library give large freed blocks out again instead of returning them to the system.

    A training step allocates the same large tensors again and again; returned each time, the system clears them
    each time, page by page. Memory that other parts of the process no longer need stays with it, too.

    Returns:
        Whether it was possible; only glibc (most of Linux) can.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        # Only glibc has this function; mallopt(3) of other libraries has other options.
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018
        return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, -1))
    return False


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
