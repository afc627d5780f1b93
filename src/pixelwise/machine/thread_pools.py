"""Pools of threads that leave none behind."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

NAME = "pixelwise"
"""Start of the names of the threads."""
_CAUSES_FOLLOWED = 10
LONGEST_END = 0.5
"""Seconds that threads of a pool may take to end after they were joined."""


@contextlib.contextmanager
def thread_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Executor whose threads have ended, for the operating system too, once the block is left.

    Calls that have not begun are cancelled if the block fails. After Ctrl-C, threads that do not end soon are left
    behind: they may wait for a drive that never answers.

    Before Python 3.13, a thread that was joined may still be destroying its thread-local storage. OpenCV takes a lock
    for that; a loader process forked at that moment inherits the lock and waits for it for ever.

    Args:
        threads: Number of threads.
    """
    started: list[int] = []
    pool = ThreadPoolExecutor(threads, NAME, lambda: started.append(threading.get_native_id()))
    try:
        yield pool
    except BaseException as error:
        pool.shutdown(wait=not _is_interrupt(error), cancel_futures=True)
        raise
    else:
        pool.shutdown()
    finally:
        tasks = [f"/proc/self/task/{thread}" for thread in started]
        # Without /proc nothing is forked. The deadline is for numbers that were given to other threads meanwhile.
        deadline = time.monotonic() + LONGEST_END
        while any(map(os.path.exists, tasks)) and time.monotonic() < deadline:
            time.sleep(0.0001)


def threads_left() -> bool:
    """Whether threads of a pool are still running, which Python waits for when the process ends."""
    return any(thread.name.startswith(NAME) and thread.is_alive() for thread in threading.enumerate())


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or was raised while Ctrl-C was being handled, as when a generator is closed."""
    for _ in range(_CAUSES_FOLLOWED):
        if error is None or isinstance(error, KeyboardInterrupt):
            break
        error = error.__context__
    return isinstance(error, KeyboardInterrupt)
