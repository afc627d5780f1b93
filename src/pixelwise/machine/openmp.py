"""Settings of the OpenMP runtimes, which read them when importing torch loads them: waiting policy and thread count.

By default, a thread of GNU's runtime (in PyTorch for Linux) that waits for the others spins 300,000 times, 7 ms on an
AMD EPYC, without yielding. A core that another process needs is then blocked by waiting, often for longer than the
awaited thread would have needed on it. Without any spinning, every short operation has to wait until the system wakes
a thread: a small network trains a third slower on an idle machine. So threads spin for about as long as sleeping and
waking takes, then sleep (docs/performance.md has the figures). LLVM's and Intel's runtimes (in PyTorch for macOS and
Windows) spin longer but yield, so they need no settings beside busy processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

from pixelwise.machine.quotas import ROOT, Folder
from pixelwise.machine.threads import scheduled_cores, usable_cores

# A spin contains a `pause` instruction on x86 (15 to 50 ns); on other processors it contains none. GNU's runtime, which
# is all that counts spins, runs where there is `uname`.
_MACHINE = os.uname().machine if hasattr(os, "uname") else ""
_SPINS = 4000 if _MACHINE in ("x86_64", "amd64", "i686") else 80000
SHORT_WAITS = {"GOMP_SPINCOUNT": str(_SPINS)}
"""Environment variables that make waiting threads of GNU's runtime sleep soon."""
_WAITS = ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY", *SHORT_WAITS)
_COUNTS = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "MKL_NUM_THREADS")


def configure(environment: MutableMapping[str, str] = os.environ, root: Folder = ROOT) -> None:
    """Make waiting threads sleep soon, and limit the number of threads to the usable cores.

    If the user has set a variable for waiting or for thread counts, that setting is left alone. Runtimes read the
    variables when they are loaded: if torch was imported before, only its thread count is lowered.

    Args:
        environment: Environment variables to complete.
        root: Folder that contains `proc` and `sys`.
    """
    if not any(name in environment for name in _WAITS):
        environment.update(SHORT_WAITS)
    # The runtimes respect an affinity mask themselves, but not a CPU quota.
    if not any(name in environment for name in _COUNTS) and (cores := usable_cores(root)) < scheduled_cores():
        environment["OMP_NUM_THREADS"] = str(cores)
        torch = sys.modules.get("torch")
        if torch is not None and torch.get_num_threads() > cores:
            torch.set_num_threads(cores)
