"""Numbers of threads and processes that the affinity mask and the container's CPU quota allow."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping

from pixelwise.machine.quotas import ROOT, Folder, cpu_quota


def usable_cores(root: Folder = ROOT) -> int:
    """Logical cores available to this process: the smaller of its affinity mask and its CPU quota, rounded up.

    Args:
        root: Folder that contains `proc` and `sys`.

    Returns:
        At least 1.
    """
    quota = cpu_quota(root)
    return scheduled_cores() if quota is None else max(1, min(scheduled_cores(), math.ceil(quota)))


def scheduled_cores() -> int:
    """Logical cores in this process's affinity mask, or all cores if the system has no masks."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    if sys.platform == "win32":
        import psutil

        return len(psutil.Process().cpu_affinity()) or 1
    return os.cpu_count() or 1


def core_limit(root: Folder = ROOT) -> int | None:
    """`usable_cores` if that is fewer than the machine has, otherwise None.

    This is for libraries that would use all cores of the machine, but choose better among them when not limited.

    Args:
        root: Folder that contains `proc` and `sys`.
    """
    cores = usable_cores(root)
    return cores if cores < (os.cpu_count() or 1) else None


def default_threads(environment: Mapping[str, str] = os.environ) -> int:
    """Threads for one computation: OMP_NUM_THREADS if it is a positive number, otherwise one per usable core.

    If the variable is a list, with one number per nesting level, the first counts.

    Args:
        environment: Environment variables to read.
    """
    first = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else usable_cores()


def reading_threads() -> int:
    """Threads for reading, hashing and decoding files, which release the GIL: one per usable core, 2 to 8.

    Even on a single core one thread reads while the other decodes; more than eight mostly cost memory.
    """
    return max(2, min(8, usable_cores()))
