"""What OpenMP's runtimes are told when they are loaded, as importing torch does: how to wait, and a container's quota.

By default a thread of GNU's runtime (in PyTorch for Linux) that waits for the others spins 300,000 times, 7 ms on an
AMD EPYC, and does not yield. A core that another process wants is then lost to waiting, often for longer than the
thread that is waited for would have needed on it. Not to spin at all makes every short operation wait for the system
to wake a thread: a small network trains a third slower on a free machine. So threads spin for about as long as
sleeping and waking takes, then sleep (docs/performance.md has the figures). LLVM's and Intel's runtimes (in PyTorch
for macOS and Windows) spin longer, but yield: beside busy processes they need no help.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import MutableMapping
from pathlib import Path

from pixelwise.machine.quotas import ROOT
from pixelwise.machine.threads import scheduled_cores, usable_cores

# A spin is a `pause` on x86 (15 to 50 ns); on other processors there is no such instruction in it.
_SPINS = 4000 if platform.machine().lower() in ("x86_64", "amd64", "i686") else 80000
SHORT_WAITS = {"GOMP_SPINCOUNT": str(_SPINS)}
"""What makes waiting threads of GNU's runtime sleep soon."""
_WAITS = ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY", *SHORT_WAITS)
_COUNTS = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "MKL_NUM_THREADS")


def configure(environment: MutableMapping[str, str] = os.environ, root: Path = ROOT) -> None:
    """Let waiting threads sleep soon, and start no more threads than the process may use cores.

    Variables about waiting that the user has set are left alone, and so are those about counts. Runtimes read them
    when they are loaded: where torch was imported before, its threads wait as they did, and only the count is lowered.

    Args:
        environment: The variables to complete.
        root: Folder that `/proc` and `/sys` lie in.
    """
    if not any(name in environment for name in _WAITS):
        environment.update(SHORT_WAITS)
    # The runtimes see an affinity mask themselves, but not a quota.
    if not any(name in environment for name in _COUNTS) and (cores := usable_cores(root)) < scheduled_cores():
        environment["OMP_NUM_THREADS"] = str(cores)
        torch = sys.modules.get("torch")
        if torch is not None and torch.get_num_threads() > cores:
            torch.set_num_threads(cores)
