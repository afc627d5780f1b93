import threading
from pathlib import Path

import pytest

from pixelwise.machine.thread_pools import thread_pool


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists threads in /proc")
@pytest.mark.parametrize("fails", [False, True])
def test_threads_of_a_pool_have_ended_when_it_is_left(fails: bool):
    # Without waiting, one of a few hundred pools leaves a thread that is still ending.
    for _ in range(300):
        threads = set()
        try:
            with thread_pool(4) as pool:
                threads = set(pool.map(lambda _: threading.get_native_id(), range(16)))
                if fails:
                    raise InterruptedError
        except InterruptedError:
            assert fails
        assert threads
        assert [thread for thread in threads if Path("/proc/self/task", str(thread)).exists()] == []
