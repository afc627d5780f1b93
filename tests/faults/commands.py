"""Command lines that are killed at any moment: a process with everything imported forks one child per command.

Importing PyTorch takes seconds; a forked child begins at once, so that the moment of the kill lies in the work itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_SERVER = """
import json, os, resource, sys, traceback
import numpy, cv2, PIL.Image
import pixelwise, pixelwise.api.check, pixelwise.datasets.preparing.converting
from pixelwise.cli import main
if sys.argv[1] == "torch":
    import torch, pixelwise.api.train, pixelwise.api.evaluate, pixelwise.prediction.predict
    import pixelwise.reports.run.page
    torch.set_num_threads(1)
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        os.setsid()
        out = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1), os.dup2(out, 2)
        os.chdir(order["folder"])
        if order["largest"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest"], order["largest"]))
        status = 70
        try:
            status = main(order["arguments"])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Ended(NamedTuple):
    """End of a command: its exit status (negative: the signal that killed it), its output and its duration."""

    status: int
    said: str
    seconds: float


class Commands:
    """Runs command lines in forked children, one at a time.

    Args:
        folder: Folder for their output, and their working folder.
        torch: Whether PyTorch is imported beforehand, which takes seconds.
    """

    def __init__(self, folder: Path, *, torch: bool) -> None:
        self._folder, self._torch = folder, torch
        self._server = self._started()
        self._running = 0

    def _started(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "XDG_CACHE_HOME": str(self._folder / "cache"), "NO_COLOR": "1"}
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, "torch" if self._torch else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
        )
        assert server.stdout is not None
        assert server.stdout.readline().strip() == "ready"
        return server

    def run(self, arguments: Sequence[object], *, kill_after: float | None = None, largest: int | None = None) -> Ended:
        """Run one command.

        Args:
            arguments: Arguments of the command line.
            kill_after: Seconds after which it is killed, if it has not ended by then.
            largest: Bytes that a file which it writes can have; more is refused as on a full disk.
        """
        said = self._folder / "said.txt"
        words = list(map(str, arguments))
        order = {"arguments": words, "folder": str(self._folder), "said": str(said), "largest": largest}
        if self._running:
            # A test was given up while its command ran, whose status would be taken for that of this one.
            self._kill(self._running)
            self._server.kill()
            self._server.communicate()
            self._server = self._started()
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        self._running, start = int(self._line()), time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            self._kill(self._running)
        status = int(self._line())
        self._running = 0
        return Ended(status, said.read_text("utf-8", "replace"), time.monotonic() - start)

    @staticmethod
    def _kill(child: int) -> None:
        for kill in (os.killpg, os.kill):  # a child that has just begun has no group of its own yet
            with contextlib.suppress(ProcessLookupError):
                kill(child, signal.SIGKILL)

    def close(self) -> None:
        """End the process."""
        self._server.communicate()

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()
