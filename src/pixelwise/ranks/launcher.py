"""`python -m pixelwise.ranks.launcher ...`: `torchrun` that leaves it to the processes to say why they ended."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """Start the processes, wait for them, and return an exit status.

    Args:
        arguments: Those of `torchrun`.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(arguments)
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    except ChildFailedError:  # which lists ids and exit codes of processes under a frame of equal signs
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
