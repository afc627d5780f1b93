"""The end of a process that must not wait for what hangs."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def end_process(status: int) -> NoReturn:
    """End this process and its worker processes, at once if threads of it still wait for a drive; in the main thread.

    Python would wait for every thread, but a read from a drive that does not answer cannot be ended from outside.

    Args:
        status: Exit status.
    """
    # Ctrl-C again has nothing more to end. Without this, it would kill the interpreter on its last way, so that the
    # status would be another one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Where they were never imported, there are neither threads nor processes.
    pools = sys.modules.get("pixelwise.machine.thread_pools")
    if pools is None or not pools.threads_left():
        sys.exit(status)
    processes = sys.modules.get("multiprocessing")
    for child in processes.active_children() if processes is not None else ():
        child.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
