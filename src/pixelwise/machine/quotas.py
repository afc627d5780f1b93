"""The CPU quota of a container, read from Linux's control groups (version 1, version 2 and hybrid)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")
_MEMBERSHIP = "proc/self/cgroup"
# systemd mounts version 2 at the first path, or at the second if version 1 has the CPU controller.
_MOUNTS_V2 = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
_MOUNTS_V1 = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct")


def cpu_quota(root: Path = ROOT) -> float | None:
    """CPU seconds that the process may use per second; None if there is no limit.

    Groups are nested and the limit of each applies, so the smallest on the way up to the root counts.

    Args:
        root: Folder that contains `proc` and `sys`.
    """
    quotas = [_quota_v2(group) for group in _groups(root, _MOUNTS_V2, _path_v2(root))]
    quotas += [_quota_v1(group) for group in _groups(root, _MOUNTS_V1, _path_v1(root))]
    return min((quota for quota in quotas if quota is not None), default=None)


def _groups(root: Path, mounts: tuple[str, ...], group: PurePosixPath) -> Iterator[Path]:
    """Folders of a group and of its ancestors, under every path where the hierarchy may be mounted."""
    for mount in mounts:
        # A container may see only a subtree, mounted as the root, while the group's path is still the one outside:
        # then the first parts of the path do not exist.
        parts = group.parts[1:]
        while parts and not (root / mount).joinpath(*parts).is_dir():
            parts = parts[1:]
        for depth in range(len(parts), -1, -1):
            yield (root / mount).joinpath(*parts[:depth])


def _path_v2(root: Path) -> PurePosixPath:
    return next((path for number, _, path in _memberships(root) if number == "0"), PurePosixPath("/"))


def _path_v1(root: Path) -> PurePosixPath:
    return next((path for _, names, path in _memberships(root) if "cpu" in names.split(",")), PurePosixPath("/"))


def _memberships(root: Path) -> Iterator[tuple[str, str, PurePosixPath]]:
    """Hierarchy id, controllers and path of each group of the process, from lines like `4:cpu,cpuacct:/docker/1f3a`."""
    for line in _text(root / _MEMBERSHIP).splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        # A path with `..` lies outside the tree that this process can see.
        if path.startswith("/") and ".." not in path.split("/"):
            yield number, names, PurePosixPath(path)


def _quota_v2(group: Path) -> float | None:
    microseconds, _, period = _text(group / "cpu.max").partition(" ")
    return _share(microseconds, period or "100000")


def _quota_v1(group: Path) -> float | None:
    return _share(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us"))


def _share(microseconds: str, period: str) -> float | None:
    """Quota divided by period; None for `max`, -1, and anything but a pair of positive integers."""
    try:
        numbers = int(microseconds), int(period)
    except ValueError:
        return None
    return numbers[0] / numbers[1] if min(numbers) > 0 else None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""
