import mmap
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from pixelwise.machine import memory
from pixelwise.machine.memory import (
    SharedMemory,
    available_memory,
    memory_in_use,
    peak_memory,
    return_freed_memory,
    room_between_processes,
    shared_memory_at,
    total_memory,
)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="memory without a file exists on Linux alone")


def test_some_memory_is_available_and_no_more_than_there_is():
    assert 1 << 20 < available_memory() <= total_memory() < 1 << 50


def test_memory_in_use_grows_with_what_is_used():
    # A mapping of its own: an ordinary block may lie in memory that the process has and does not use.
    with mmap.mmap(-1, 256 << 20) as block:
        before = memory_in_use()
        for place in range(0, len(block), mmap.PAGESIZE):
            block[place] = 1
        assert memory_in_use() - before > 128 << 20
    assert memory_in_use() <= total_memory()


def test_a_container_s_limit_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "memory_left", lambda: 12345)
    assert available_memory() == 12345


@pytest.mark.parametrize("system", ["with /proc", "without", "without resource, too", "Windows"])
def test_the_peak_counts_what_was_freed_again(system: str, monkeypatch: pytest.MonkeyPatch):
    if system != "with /proc":
        monkeypatch.setattr(memory, "_STATUS", Path("/not/there"))
    if system in ("without resource, too", "Windows"):
        monkeypatch.setitem(sys.modules, "resource", None)
    held = np.ones(1 << 26, np.uint8)
    if system == "Windows":
        facts = psutil.Process().memory_info()._asdict() | {"peak_wset": 1 << 40}
        monkeypatch.setattr(psutil.Process, "memory_info", lambda self: type("Facts", (), facts))
        assert peak_memory() == 1 << 40
    if system != "without resource, too":
        del held  # psutil knows the peak on Windows alone; elsewhere it is what is in use
    assert 1 << 26 < peak_memory() < 1 << 50


def test_the_peak_is_a_new_process_s_own():
    held = np.ones(1 << 28, np.uint8)
    script = "from pixelwise.machine.memory import peak_memory; print(peak_memory())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert int(done.stdout) < held.nbytes < peak_memory()


def test_freed_memory_is_given_out_again_without_being_cleared_by_the_system():
    script = """
import ctypes, resource, sys
from pixelwise.machine.memory import keep_freed_memory
if not keep_freed_memory():
    sys.exit("not possible here")
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = library.malloc(1 << 26)
    ctypes.memset(block, 1, 1 << 26)
    library.free(block)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if "not possible" in done.stderr:
        pytest.skip("only glibc can keep what is freed")
    # 64 MiB are 16384 pages of 4 KiB; without it every one of them is cleared in every round.
    assert int(done.stdout) < 1000, done.stderr


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries cannot do that")
def test_freed_memory_goes_back_to_the_system():
    # Blocks of 64 kB lie in the heap, whose end the last one keeps from shrinking by itself.
    blocks = [bytes(1 << 16) for _ in range(1500)]
    last = bytes(1 << 16)
    del blocks
    before = memory_in_use()
    assert return_freed_memory()
    assert before - memory_in_use() > 50 << 20
    assert len(last) == 1 << 16


@on_linux
def test_memory_is_shared_by_its_address_until_it_is_closed(tmp_path: Path):
    shared = SharedMemory(4096)
    other = shared_memory_at(shared.address, 4096)
    assert other[:] == bytes(4096)
    other[7] = 5
    assert shared.content[7] == 5
    shared.close()
    with pytest.raises(OSError):
        shared_memory_at(shared.address, 4096)
    shared.content[8] = 6
    assert other[8] == 6


@on_linux
def test_a_file_that_is_not_the_shared_memory_is_not_opened(tmp_path: Path):
    """In another container the same number of a process and of its file may be those of something else."""
    shared = SharedMemory(4096)
    with (tmp_path / "file").open("w+b") as file:
        file.write(bytes(4096))
        with pytest.raises(FileNotFoundError):
            shared_memory_at((f"/proc/self/fd/{file.fileno()}", shared.address[1]), 4096)
    shared.close()


@on_linux
def test_memory_that_is_missing_is_an_error():
    with pytest.raises(OSError):
        SharedMemory(1 << 62)


@on_linux
def test_the_room_between_processes_is_that_of_its_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    found = room_between_processes()
    facts = os.statvfs("/dev/shm")
    assert found is not None
    assert found.total == facts.f_blocks * facts.f_frsize
    monkeypatch.setattr(memory, "SHARED", tmp_path / "missing")
    assert room_between_processes() is None
