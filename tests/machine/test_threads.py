import os
import sys
from pathlib import Path

import psutil
import pytest

from pixelwise.machine.threads import (
    core_limit,
    default_threads,
    reading_threads,
    scheduled_cores,
    usable_cores,
)


def with_quota(root: Path, cpu_max: str) -> Path:
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/cpu.max").write_text(cpu_max, "ascii")
    return root


def with_cores(monkeypatch: pytest.MonkeyPatch, scheduled: int, in_all: int = 16) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(scheduled)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: in_all)


@pytest.mark.parametrize(
    ("scheduled", "cpu_max", "cores"),
    [
        (4, "max 100000", 4),
        (4, "200000 100000", 2),
        (4, "150000 100000", 2),  # fractions round up
        (4, "50000 100000", 1),
        (4, "1000 100000", 1),
        (4, "800000 100000", 4),  # a larger quota lifts no affinity
        (1, "200000 100000", 1),
    ],
)
def test_affinity_and_quota_both_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduled: int, cpu_max: str, cores: int
):
    with_cores(monkeypatch, scheduled)
    assert usable_cores(with_quota(tmp_path, cpu_max)) == cores


def test_without_affinity_masks_all_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert (scheduled_cores(), usable_cores(tmp_path)) == (6, 6)
    monkeypatch.setattr(os, "cpu_count", lambda: None)  # the system does not say
    assert (scheduled_cores(), usable_cores(tmp_path)) == (1, 1)


def test_on_windows_psutil_knows_the_affinity_mask(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: [0, 2, 3], raising=False)
    assert scheduled_cores() == 3


@pytest.mark.parametrize(
    ("scheduled", "cpu_max", "limit"), [(16, "max 100000", None), (4, "max 100000", 4), (16, "300000 100000", 3)]
)
def test_a_core_limit_is_fewer_than_all_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduled: int, cpu_max: str, limit: int | None
):
    with_cores(monkeypatch, scheduled)
    assert core_limit(with_quota(tmp_path, cpu_max)) == limit


@pytest.mark.parametrize(
    ("variable", "threads"),
    [("3", 3), ("4,2", 4), (" 2 ", 2), ("0", 5), ("-1", 5), ("many", 5), ("", 5), (None, 5), ("²", 5)],
)
def test_omp_num_threads_counts_if_it_is_a_positive_number(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, threads: int
):
    with_cores(monkeypatch, 5)
    monkeypatch.setattr("pixelwise.machine.threads.cpu_quota", lambda root: None)
    assert default_threads({} if variable is None else {"OMP_NUM_THREADS": variable}) == threads


@pytest.mark.parametrize(("scheduled", "threads"), [(1, 2), (2, 2), (5, 5), (16, 8)])
def test_files_are_read_by_two_to_eight_threads(monkeypatch: pytest.MonkeyPatch, scheduled: int, threads: int):
    with_cores(monkeypatch, scheduled)
    monkeypatch.setattr("pixelwise.machine.threads.cpu_quota", lambda root: None)
    assert reading_threads() == threads
