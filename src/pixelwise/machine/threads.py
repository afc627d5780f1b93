"""How many threads and processes to use: what the affinity mask and the container's CPU quota allow."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pixelwise.machine.quotas import ROOT, cpu_quota


def usable_cores(root: Path = ROOT) -> int:
    """Logical cores this process may use: its affinity mask and its CPU quota, rounded up, both hold.

    Args:
        root: Folder that `/proc` and `/sys` lie in.

    Returns:
        1 or more.
    """
    quota = cpu_quota(root)
    return scheduled_cores() if quota is None else max(1, min(scheduled_cores(), math.ceil(quota)))


def scheduled_cores() -> int:
    """Logical cores that the system may run this process on: its affinity mask, or all where there is none."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    if sys.platform == "win32":
        import psutil

        return len(psutil.Process().cpu_affinity()) or 1
    return os.cpu_count() or 1


def core_limit(root: Path = ROOT) -> int | None:
    """`usable_cores` where they are fewer than the machine has, else None.

    For libraries that would take all of the machine's cores, but know better which of all to take.

    Args:
        root: Folder that `/proc` and `/sys` lie in.
    """
    cores = usable_cores(root)
    return cores if cores < (os.cpu_count() or 1) else None


def default_threads(environment: Mapping[str, str] = os.environ) -> int:
    """Threads for one computation: OMP_NUM_THREADS where that is a number, else one per usable core.

    Of a list, which is a number per level of nesting, the first counts.

    Args:
        environment: Variables to look in.
    """
    first = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else usable_cores()


def reading_threads() -> int:
    """Threads that read, hash and decode files, which gives up Python's lock: one per usable core, 2 to 8.

    One reads while the other decodes even where there is a single core; more than eight mostly cost memory.
    """
    return max(2, min(8, usable_cores()))
