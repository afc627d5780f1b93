"""`python -m pixelwise.ranks.launcher ...`: `torchrun` that says in one file why the processes ended.

Left alone, `torchrun` prints a traceback of its own for a signal and a framed table for a process that died, and goes
on when the command that started it is gone.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pixelwise.machine.signals import ignore_schedulers, stop_with_parent


class Death(msgspec.Struct, frozen=True):
    """The first process that ended with an error.

    Attributes:
        rank: Number of the process, of all.
        reason: `SIGKILL`, or `exit status 1`.
    """

    rank: int
    reason: str


def main(arguments: Sequence[str]) -> int:
    """Start the processes, wait for them, and return an exit status.

    Args:
        arguments: File that receives a `Death` if there is one; then those of `torchrun`.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # It says what the processes say, or the `Death`, too.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    # A scheduler sends its signal to the starting process, which asks this one to stop; some send it to all processes
    # of a job, and this one would die of it.
    ignore_schedulers()
    stop_with_parent()
    try:
        run.main(list(arguments[1:]))
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    except ChildFailedError as failed:
        codes = {rank: failure.exitcode for rank, failure in failed.failures.items()}
        Path(arguments[0]).write_bytes(msgspec.json.encode(_first_death(codes)))
        return 1
    return 0


def _first_death(codes: Mapping[int, int]) -> Death:
    """The death that was the cause of the others.

    Args:
        codes: Rank -> exit code, negative for a signal. Whoever lost the others ends with an error, and the launcher
            ends the rest with SIGTERM; so another signal comes first.
    """
    rank = min(codes, key=lambda rank: (codes[rank] >= 0 or codes[rank] == -signal.SIGTERM, codes[rank] < 0, rank))
    code = codes[rank]
    return Death(rank, signal.Signals(-code).name if code < 0 else f"exit status {code}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
