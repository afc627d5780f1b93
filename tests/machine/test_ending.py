from __future__ import annotations

import subprocess
import sys
import time

import pytest

SCRIPT = """
import multiprocessing, sys, threading, time
from pixelwise.machine.ending import end_process
from pixelwise.machine.thread_pools import thread_pool
if "process" in sys.argv:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,), daemon=True)
    child.start()
    print(child.pid, flush=True)
if "stalled" in sys.argv:
    begun = threading.Event()
    try:
        with thread_pool(1) as pool:
            pool.submit(lambda: begun.set() or time.sleep(1000))
            begun.wait()
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
sys.stdout.write("said")
end_process(130)
"""


@pytest.mark.parametrize("words", [[], ["stalled"], ["process"], ["stalled", "process"]])
def test_the_process_ends_at_once_with_what_it_said(words: list[str]):
    start = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert ended.returncode == 130, ended.stderr
    assert ended.stdout.endswith("said")
    assert ended.stderr == ""
    assert time.monotonic() - start < 50


AGAIN = """
import atexit, os, signal
from pixelwise.machine.ending import end_process

class Last:
    def __init__(self):
        self.send = lambda kill=os.kill, own=os.getpid(): kill(own, signal.SIGINT)

    def __del__(self):
        self.send()  # Python has given up its handlers of signals by now

last = Last()
atexit.register(last.send)
end_process(130)
"""


def test_ctrl_c_on_the_last_way_changes_nothing():
    ended = subprocess.run(
        [sys.executable, "-c", AGAIN], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (130, "")
