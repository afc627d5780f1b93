"""Starting several processes of this host with PyTorch's launcher, and waiting for them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.machine.network import is_nameless_here, own_address, split_address
from pixelwise.machine.processes import kill_with_children
from pixelwise.machine.signals import stop_signals
from pixelwise.machine.threads import default_threads
from pixelwise.ranks.launcher import Death
from pixelwise.ranks.options import LaunchOptions

SHUTDOWN_SECONDS = 120
"""Time that processes have to save after a signal, before they are killed."""


def refuse_unfit(options: LaunchOptions, device: str) -> None:
    """Refuse processes that cannot be started, before anything is.

    Args:
        options: How many, and where.
        device: The device that is asked for: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        RecipeError: R238, the options contradict each other, or there are fewer GPUs than processes.
    """
    options.refuse_contradictions(device)
    number = options.devices
    if number is None or device == "cpu":
        return
    import torch

    gpus = torch.cuda.device_count()
    if number > gpus and (gpus or device == "cuda"):
        fewer = f"give at most {gpus}, or set" if gpus else "set"
        raise RecipeError(
            "R238",
            f"`devices` is {number}, but this host has {gpus} {'GPU' if gpus == 1 else 'GPUs'}",
            f"{fewer} `device` to cpu for processes that divide the processor's cores",
        )


def _address_words(rendezvous: str) -> list[str]:
    """What `torchrun` has to know about the network where names of hosts do not say it.

    The other hosts are told the address of this one on its way to where all meet; `torchrun` alone would tell them its
    name, which they may not know, or which means themselves to them. And the host at which all meet may not know that
    it is meant.
    """
    place = split_address(rendezvous)
    if place is None:
        return []
    address = own_address(place[0])
    words = ["--local-addr", address] if address is not None else []
    return [*words, "--rdzv-conf", "is_host=1"] if is_nameless_here(place[0]) else words


class Launch:
    """Processes of this host that run one module together, until they end.

    Args:
        module: Name of the module, with the words of its command line.
        options: How many processes, and where.
        environment: Variables of the processes, beside those of this one.

    Attributes:
        death: Why the processes ended; None if all ended well, or were asked to.
    """

    def __init__(self, module: Sequence[str], options: LaunchOptions, environment: Mapping[str, str] = {}) -> None:
        self.death: Death | None = None
        self._signals: list[int] = []
        self._folder = tempfile.TemporaryDirectory(prefix="pixelwise-", ignore_cleanup_errors=True)
        self._report = Path(self._folder.name) / "death.json"
        number = options.devices or 1
        words = [sys.executable, "-m", "pixelwise.ranks.launcher", str(self._report)]
        words += ["--nproc-per-node", str(number), "--max-restarts", str(options.restarts)]
        if options.rendezvous is None:
            words.append("--standalone")
        else:
            words += ["--nnodes", options.nodes, "--rdzv-backend", "c10d", "--rdzv-endpoint", options.rendezvous]
            words += _address_words(options.rendezvous)
        words += ["--shutdown-timeout", str(SHUTDOWN_SECONDS), "-m", *module]
        # `torchrun` would set one thread.
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, default_threads() // number))
        variables = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "LOGLEVEL": os.environ.get("LOGLEVEL", "CRITICAL"),
            # Otherwise hosts remember where the processes before have met, and one that joins waits for that in vain.
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
            # What can be imported here can be imported there.
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(path for path in sys.path if path)),
            **environment,
        }
        # In a session of its own: Ctrl-C reaches this process alone, and the others get one signal, from the launcher.
        self._process = subprocess.Popen(words, env=variables, start_new_session=True)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return signal.SIGINT in self._signals

    def wait(self, meanwhile: Callable[[], None]) -> int:
        """Wait for the processes; returns the exit status of the launcher, 0 if all of them ended well.

        A signal that asks this process to stop is passed on: the processes save, and end. A second Ctrl-C kills them.

        Args:
            meanwhile: Called again and again while they run; returns after a short time.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed twice.
        """
        with self._passing_on():
            while self._process.poll() is None:
                meanwhile()
        with contextlib.suppress(OSError, msgspec.DecodeError):
            self.death = msgspec.json.decode(self._report.read_bytes(), type=Death)
        self._folder.cleanup()
        if self.death is None and self._process.returncode < 0:
            self.death = Death(f"the one that starts them ended with {signal.Signals(-self._process.returncode).name}")
        return self._process.returncode

    def kill(self) -> None:
        """Kill the launcher and all processes that it started."""
        kill_with_children(self._process)
        self._folder.cleanup()

    @contextlib.contextmanager
    def _passing_on(self) -> Iterator[None]:
        def ask(number: int, _: object) -> None:
            if number == signal.SIGINT and self.interrupted:
                self.kill()
                raise KeyboardInterrupt
            self._signals.append(number)
            # `torchrun` knows these two.
            self._process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

        here = threading.current_thread() is threading.main_thread()  # only there can signals be handled
        before = {number: signal.signal(number, ask) for number in stop_signals()} if here else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self._process.poll() is None:
                self.kill()
