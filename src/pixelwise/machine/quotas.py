"""The CPU quota and the memory limit of a container, from Linux's control groups (version 1, version 2, hybrid)."""

from __future__ import annotations

import os
from collections.abc import Iterator

# `import pixelwise` runs this module: importing pathlib here would add a fifth to its time.
Folder = str | os.PathLike[str]
ROOT = "/"
_MEMBERSHIP = "proc/self/cgroup"
# systemd mounts version 2 at the first path, or at the second if version 1 has the CPU controller.
_MOUNTS_V2 = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
_MOUNTS_V1 = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct")
_MEMORY_V1 = ("sys/fs/cgroup/memory",)
_NO_LIMIT = 1 << 60
"""Version 1 writes a number near 2^63 where there is no limit."""


def cpu_quota(root: Folder = ROOT) -> float | None:
    """CPU seconds that the process may use per second; None if there is no limit.

    Groups are nested and the limit of each applies, so the smallest on the way up to the root counts.

    Args:
        root: Folder that contains `proc` and `sys`.
    """
    quotas = [_quota_v2(group) for group in _groups(root, _MOUNTS_V2, _path_v2(root))]
    quotas += [_quota_v1(group) for group in _groups(root, _MOUNTS_V1, _path_v1(root))]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(root: Folder = ROOT) -> int | None:
    """Bytes of main memory that the process and the others of its groups may use; None if there is no limit.

    Args:
        root: Folder that contains `proc` and `sys`.
    """
    return min((limit for limit, _ in _memory(root)), default=None)


def memory_left(root: Folder = ROOT) -> int | None:
    """Bytes that the groups of the process may still use; None if there is no limit.

    File contents that the system can drop at any time count as free, as they do for the whole machine.

    Args:
        root: Folder that contains `proc` and `sys`.
    """
    return min((max(0, limit - used) for limit, used in _memory(root)), default=None)


def _memory(root: Folder) -> Iterator[tuple[int, int]]:
    """Limit and used bytes of each group that has a limit."""
    v1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    v2 = ("memory.max", "memory.current", "inactive_file")
    for mounts, path, (most, current, droppable) in (
        (_MOUNTS_V2, _path_v2(root), v2),
        (_MEMORY_V1, _path_v1(root, "memory"), v1),
    ):
        for group in _groups(root, mounts, path):
            limit, used = (_number(_text(os.path.join(group, name))) for name in (most, current))
            if limit is not None and limit < _NO_LIMIT:
                lines = _text(os.path.join(group, "memory.stat")).splitlines()
                facts = {name: value for name, _, value in (line.partition(" ") for line in lines)}
                yield limit, (used or 0) - (_number(facts.get(droppable, "")) or 0)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _groups(root: Folder, mounts: tuple[str, ...], group: str) -> Iterator[str]:
    """Folders of a group and of its ancestors, under every path where the hierarchy may be mounted."""
    for mount in mounts:
        # A container may see only a subtree, mounted as the root, while the group's path is still the one outside:
        # then the first parts of the path do not exist.
        parts = [part for part in group.split("/") if part]
        while parts and not os.path.isdir(os.path.join(root, mount, *parts)):
            parts = parts[1:]
        for depth in range(len(parts), -1, -1):
            yield os.path.join(root, mount, *parts[:depth])


def _path_v2(root: Folder) -> str:
    return next((path for number, _, path in _memberships(root) if number == "0"), "/")


def _path_v1(root: Folder, controller: str = "cpu") -> str:
    return next((path for _, names, path in _memberships(root) if controller in names.split(",")), "/")


def _memberships(root: Folder) -> Iterator[tuple[str, str, str]]:
    """Hierarchy id, controllers and path of each group of the process, from lines like `4:cpu,cpuacct:/docker/1f3a`."""
    for line in _text(os.path.join(root, _MEMBERSHIP)).splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        # A path with `..` lies outside the tree that this process can see.
        if path.startswith("/") and ".." not in path.split("/"):
            yield number, names, path


def _quota_v2(group: str) -> float | None:
    microseconds, _, period = _text(os.path.join(group, "cpu.max")).partition(" ")
    return _share(microseconds, period or "100000")


def _quota_v1(group: str) -> float | None:
    quota, period = (_text(os.path.join(group, f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
    return _share(quota, period)


def _share(microseconds: str, period: str) -> float | None:
    """Quota divided by period; None for `max`, -1, and anything but a pair of positive integers."""
    try:
        numbers = int(microseconds), int(period)
    except ValueError:
        return None
    return numbers[0] / numbers[1] if min(numbers) > 0 else None


def _text(file: str) -> str:
    try:
        with open(file, "rb") as stream:
            return stream.read().decode("utf-8").strip()
    except (OSError, ValueError):
        return ""
