from pathlib import Path

import pytest

from pixelwise.machine.quotas import cpu_quota, memory_left, memory_limit

V2_HERE = "0::/\n"
V1_DOCKER = "12:pids:/docker/1f3a\n4:cpu,cpuacct:/docker/1f3a\n1:name=systemd:/docker/1f3a\n"
HYBRID = "3:cpuset:/job\n1:cpu:/job\n0::/job\n"

TREES: dict[str, tuple[dict[str, str], float | None]] = {
    "nothing at all, as on macOS and Windows": ({}, None),
    "v2, a container that sees its group as the root": (
        {"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "v2, no limit": ({"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    "v2, a period that is not the usual one": (
        {"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/cpu.max": "20000 10000\n"},
        2.0,
    ),
    "v2, less than one CPU": ({"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
    "v2, the period left out": ({"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/cpu.max": "300000"}, 3.0),
    "v2, nested: the innermost is the smallest": (
        {
            "proc/self/cgroup": "0::/user.slice/app.scope\n",
            "sys/fs/cgroup/user.slice/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/user.slice/app.scope/cpu.max": "200000 100000\n",
        },
        2.0,
    ),
    "v2, nested: one around it is the smallest": (
        {
            "proc/self/cgroup": "0::/kubepods/pod7/c1\n",
            "sys/fs/cgroup/kubepods/cpu.max": "max 100000\n",
            "sys/fs/cgroup/kubepods/pod7/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/kubepods/pod7/c1/cpu.max": "800000 100000\n",
        },
        1.0,
    ),
    "v2, the group itself has no file: the CPU controller ends above it": (
        {
            "proc/self/cgroup": "0::/session/shell\n",
            "sys/fs/cgroup/session/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/session/shell/cgroup.procs": "",
        },
        2.5,
    ),
    "v2, a group of others does not count": (
        {
            "proc/self/cgroup": "0::/mine\n",
            "sys/fs/cgroup/mine/cpu.max": "max 100000\n",
            "sys/fs/cgroup/theirs/cpu.max": "10000 100000\n",
        },
        None,
    ),
    "v2, outside what the container sees": (
        {"proc/self/cgroup": "0::/../other\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"},
        2.0,
    ),
    "v2, no /proc: the root counts": ({"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),
    "v1, a container with its group mounted as the root": (
        {
            "proc/self/cgroup": V1_DOCKER,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
        2.5,
    ),
    "v1, no limit": (
        {
            "proc/self/cgroup": V1_DOCKER,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        None,
    ),
    "v1, nested: the pod is smaller than its container": (
        {
            "proc/self/cgroup": "2:cpu:/pods/c1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/pods/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/pods/cpu.cfs_period_us": "50000\n",
            "sys/fs/cgroup/cpu/pods/c1/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/pods/c1/cpu.cfs_period_us": "100000\n",
        },
        2.0,
    ),
    "v1, a group inside a container, whose path outside is not visible": (
        {
            "proc/self/cgroup": "2:cpu:/docker/1f3a/worker\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/worker/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/worker/cpu.cfs_period_us": "100000\n",
        },
        1.0,
    ),
    "v1, cpuset and cpuacct are not the CPU controller": (
        {
            "proc/self/cgroup": "3:cpuset:/a\n2:cpuacct:/a\n1:cpu:/b\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/b/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/b/cpu.cfs_period_us": "100000\n",
        },
        2.0,
    ),
    "v1, a period of zero": (
        {
            "proc/self/cgroup": V1_DOCKER,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "0\n",
        },
        None,
    ),
    "v1, the period is missing": (
        {"proc/self/cgroup": V1_DOCKER, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n"},
        None,
    ),
    "hybrid: version 1 has the CPU controller": (
        {
            "proc/self/cgroup": HYBRID,
            "sys/fs/cgroup/unified/job/cgroup.procs": "1\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
        },
        1.5,
    ),
    "hybrid: version 2 has it": (
        {
            "proc/self/cgroup": "3:cpuset:/job\n0::/job\n",
            "sys/fs/cgroup/cpuset/job/cpuset.cpus": "0-3\n",
            "sys/fs/cgroup/unified/job/cpu.max": "70000 100000\n",
        },
        0.7,
    ),
    "garbage in cpu.max": ({"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/cpu.max": "lots of\n"}, None),
    "an empty cpu.max": ({"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/cpu.max": ""}, None),
    "a negative quota in cpu.max": ({"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/cpu.max": "-5 100000"}, None),
    "garbage in /proc/self/cgroup": (
        {"proc/self/cgroup": "0:\n::::\nhello\n0::relative\n\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"},
        2.0,
    ),
}


@pytest.mark.parametrize(("files", "expected"), TREES.values(), ids=TREES.keys())
def test_the_smallest_quota_on_the_path_counts(tmp_path: Path, files: dict[str, str], expected: float | None):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    assert cpu_quota(tmp_path) == expected


def test_bytes_that_are_no_text_are_no_quota(tmp_path: Path):
    path = tmp_path / "sys/fs/cgroup/cpu.max"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00 100000")
    assert cpu_quota(tmp_path) is None


NO_LIMIT_V1 = "9223372036854771712\n"
MEMORY: dict[str, tuple[dict[str, str], int | None, int | None]] = {
    "nothing at all": ({}, None, None),
    "v2, what can be dropped counts as free": (
        {
            "proc/self/cgroup": V2_HERE,
            "sys/fs/cgroup/memory.max": "1000\n",
            "sys/fs/cgroup/memory.current": "700\n",
            "sys/fs/cgroup/memory.stat": "anon 400\ninactive_file 250\nactive_file 50\n",
        },
        1000,
        550,
    ),
    "v2, no limit": ({"proc/self/cgroup": V2_HERE, "sys/fs/cgroup/memory.max": "max\n"}, None, None),
    "v2, the pod is smaller than its container": (
        {
            "proc/self/cgroup": "0::/pod/c1\n",
            "sys/fs/cgroup/pod/memory.max": "2000\n",
            "sys/fs/cgroup/pod/memory.current": "100\n",
            "sys/fs/cgroup/pod/c1/memory.max": "3000\n",
            "sys/fs/cgroup/pod/c1/memory.current": "2950\n",
        },
        2000,
        50,
    ),
    "v1, with the group outside of what is visible": (
        {
            "proc/self/cgroup": "5:memory:/docker/1f3a\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "4096\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "4000\n",
            "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\nno number\nword\ntotal_inactive_file 1000\n",
        },
        4096,
        1096,
    ),
    "v1, no limit": (
        {"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1},
        None,
        None,
    ),
    "more in use than allowed": (
        {"sys/fs/cgroup/memory.max": "10\n", "sys/fs/cgroup/memory.current": "20\n"},
        10,
        0,
    ),
}


@pytest.mark.parametrize(("files", "limit", "left"), MEMORY.values(), ids=MEMORY.keys())
def test_the_smallest_memory_limit_on_the_path_counts(tmp_path: Path, files: dict[str, str], limit, left):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    assert (memory_limit(tmp_path), memory_left(tmp_path)) == (limit, left)
