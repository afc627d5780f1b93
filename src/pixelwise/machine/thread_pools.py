"""Pools of threads that leave none behind."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

LONGEST_END = 0.5
"""Seconds that threads of a pool may take to end after they were joined."""


@contextlib.contextmanager
def thread_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Executor whose threads have ended, for the operating system too, once the block is left.

    Before Python 3.13, a thread that was joined may still be destroying its thread-local storage. OpenCV takes a lock
    for that; a loader process forked at that moment inherits the lock and waits for it for ever.

    Args:
        threads: Number of threads.
    """
    started: list[int] = []
    try:
        with ThreadPoolExecutor(threads, "pixelwise", lambda: started.append(threading.get_native_id())) as pool:
            yield pool
    finally:
        tasks = [f"/proc/self/task/{thread}" for thread in started]
        # Without /proc nothing is forked. The deadline is for numbers that were given to other threads meanwhile.
        deadline = time.monotonic() + LONGEST_END
        while any(map(os.path.exists, tasks)) and time.monotonic() < deadline:
            time.sleep(0.0001)
