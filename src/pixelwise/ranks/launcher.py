"""`python -m pixelwise.ranks.launcher ...`: `torchrun` that says in one file why the processes ended.

Left alone, `torchrun` prints a traceback of its own for a signal and a framed table for a process that died, goes on
when the command that started it is gone, and waits for a quarter of an hour for the host at which all meet if that one
is gone.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pixelwise.machine.network import PROBES, notice_silence
from pixelwise.machine.signals import ignore_schedulers, stop_with_parent

LOST_OTHERS = 69
"""Exit status of a process that cannot reach the others any more; `EX_UNAVAILABLE` of Unix's sysexits.h."""


class Death(msgspec.Struct, frozen=True):
    """Why processes ended.

    Attributes:
        reason: A clause, such as `process 1 ended with SIGKILL`.
    """

    reason: str


def main(arguments: Sequence[str]) -> int:
    """Start the processes, wait for them, and return an exit status.

    Args:
        arguments: File that receives a `Death` if there is one; then those of `torchrun`.
    """
    from torch.distributed import DistError, run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    from pixelwise.ranks.group import TIMEOUT

    # It says what the processes say, or the `Death`, too.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    # A scheduler sends its signal to the starting process, which asks this one to stop; some send it to all processes
    # of a job, and this one would die of it.
    ignore_schedulers()
    stop_with_parent()
    threading.Thread(target=_watch_connections, args=(TIMEOUT.total_seconds(),), daemon=True).start()
    try:
        run.main(list(arguments[1:]))
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    except ChildFailedError as failed:
        codes = {rank: failure.exitcode for rank, failure in failed.failures.items()}
        return _died(arguments[0], _first_death(codes))
    except (RendezvousError, DistError):
        return _died(arguments[0], Death("the host at which all meet cannot be reached"))
    return 0


def _died(report: str, death: Death) -> int:
    Path(report).write_bytes(msgspec.json.encode(death))
    return 1


def _watch_connections(seconds: float) -> None:
    """Let the connections of `torchrun`, which makes new ones for every start, notice that the other host is gone."""
    while True:
        notice_silence(seconds)
        time.sleep(seconds / (PROBES + 1))


def _first_death(codes: Mapping[int, int]) -> Death:
    """The death that was the cause of the others.

    Args:
        codes: Rank -> exit code, negative for a signal. Whoever lost the others ends with `LOST_OTHERS`, or another
            error, and the launcher ends the rest with SIGTERM; so another signal comes first.
    """

    def importance(rank: int) -> tuple[int, int]:
        code = codes[rank]
        return (3 if code == -signal.SIGTERM else 0 if code < 0 else 2 if code == LOST_OTHERS else 1), rank

    rank = min(codes, key=importance)
    code = codes[rank]
    if code == LOST_OTHERS:
        return Death(f"process {rank} waited in vain for another one")
    return Death(f"process {rank} ended with {signal.Signals(-code).name if code < 0 else f'exit status {code}'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
