"""Runs mutants in child processes that may hang, crash or take memory without harm to the tests."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parent.parent
LONGEST = 10.0
"""Seconds that a mutant may take."""
STARTING = 120.0
"""Seconds until the first answer: imports, and writing the seed."""
BAD = ("foreign exception", "crash", "hang", "memory", "outside")
"""Verdicts that fail a test; the others are `read` and `refused`."""


class Outcome(NamedTuple):
    """What became of a mutant.

    Attributes:
        number: The mutant's number, from which it can be made again.
        verdict: `read`, `refused` or one of `BAD`.
        detail: Code of the refusal, or where it went wrong.
        seconds: Time that it took.
        file: Name of the file that was changed.
    """

    number: int
    verdict: str
    detail: str
    seconds: float
    file: str


class Worker:
    """A child process for mutants; a new one takes over after a hang or a crash.

    Args:
        work: Empty folder for seeds, mutants and caches.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._child: subprocess.Popen[bytes] | None = None
        self._lines = b""

    def run(self, name: str, first: int, count: int) -> list[Outcome]:
        """The outcomes of `count` mutants of a case, beginning with number `first`."""
        outcomes: list[Outcome] = []
        end = first + count
        while first < end:
            for outcome in self._attempt(name, first, end - first):
                outcomes.append(outcome)
                first = outcome.number + 1
        return outcomes

    def close(self) -> None:
        """End the child process."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _attempt(self, name: str, first: int, count: int) -> Iterator[Outcome]:
        """Outcomes until all mutants are done, or one has ended the child."""
        child = self._started()
        assert child.stdin is not None
        child.stdin.write(f"{name} {first} {count}\n".encode())
        child.stdin.flush()
        current, limit = None, STARTING
        while True:
            answer = self._next(child, limit)
            if answer is None or answer == {}:
                verdict = "hang" if answer is None else "crash"
                self.close()
                if current is None:
                    raise RuntimeError(f"{name}: the process for mutants ended with a {verdict} before the first one")
                yield Outcome(current, verdict, f"status {child.returncode}", LONGEST, "")
                return
            if "seed" in answer and answer["seed"][0] != "read":
                raise RuntimeError(f"{name}: the unchanged files are not read: {answer['seed']}")
            if "begin" in answer:
                current, limit = answer["begin"], LONGEST
            if "end" in answer:
                yield Outcome(answer["end"], answer["verdict"], answer["detail"], answer["seconds"], answer["file"])
            if "done" in answer:
                return

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            environment = {
                **os.environ,
                "XDG_CACHE_HOME": str(self._work / "cache"),
                "TMPDIR": str(self._work / "tmp"),
                "PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "OMP_NUM_THREADS": "1",
                # Every thread would reserve address space of its own.
                "MALLOC_ARENA_MAX": "1",
            }
            (self._work / "tmp").mkdir(parents=True, exist_ok=True)
            self._child = subprocess.Popen(
                [sys.executable, "-m", "fuzz.worker", str(self._work)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if not os.environ.get("FUZZ_STDERR") else None,
                cwd=self._work,
                env=environment,
            )
            self._lines = b""
        return self._child

    def _next(self, child: subprocess.Popen[bytes], limit: float) -> dict[str, Any] | None:
        """The next answer; empty if the child has ended, None if it gives none within `limit` seconds."""
        assert child.stdout is not None
        until = time.monotonic() + limit
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ)
            while b"\n" not in self._lines:
                if not ready.select(max(0.0, until - time.monotonic())):
                    return None
                data = os.read(child.stdout.fileno(), 65536)
                if not data:
                    child.wait()
                    return {}
                self._lines += data
        line, _, self._lines = self._lines.partition(b"\n")
        return json.loads(line)


def table(outcomes: dict[str, list[Outcome]]) -> str:
    """Markdown: one row per case with the number of mutants by verdict, and the most frequent codes."""
    lines = [
        "| format | mutants | read | refused | foreign exceptions | crashes | hangs | memory | files outside | codes |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, found in sorted(outcomes.items()):
        counts = Counter(outcome.verdict for outcome in found)
        codes = Counter(outcome.detail for outcome in found if outcome.verdict == "refused")
        numbers = [len(found), *(counts[verdict] for verdict in ("read", "refused", *BAD))]
        shown = ", ".join(f"{code} {count}" for code, count in codes.most_common(6))
        lines.append(f"| {name} | {' | '.join(map(str, numbers))} | {shown} |")
    return "\n".join(lines) + "\n"
