import subprocess
import sys

import pytest

from pixelwise.machine.memory import available_memory


def test_some_memory_is_available_and_less_than_a_petabyte():
    assert 1 << 20 < available_memory() < 1 << 50


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
