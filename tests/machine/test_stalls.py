from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixelwise.errors import PixelwiseWarning
from pixelwise.machine import stalls
from pixelwise.machine.stalls import reads


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[PixelwiseWarning]]:
    """The warnings, which are given after 0.2 seconds."""
    stalls._end()
    monkeypatch.setattr(stalls, "PATIENCE", 0.2)
    found: list = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *rest: found.append(message))
        yield found
    stalls._end()


def until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_a_read_that_takes_long_is_mentioned_once(said: list[PixelwiseWarning]):
    with reads(Path("a.png")), reads(Path("a.png")):
        until(lambda: said)
        time.sleep(0.3)
    (warning,) = said
    assert warning.code == "W606"
    assert warning.message.startswith("a.png: still being read")


def test_quick_reads_are_not_mentioned_and_the_thread_ends(said: list[PixelwiseWarning]):
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        with reads(Path("quick.png")):
            pass
    until(lambda: stalls._thread is None)
    assert said == []
    with reads(Path("again.png")):
        until(lambda: said)


def test_every_read_of_every_thread_is_watched(said: list[PixelwiseWarning]):
    done = threading.Event()

    def read(name: str) -> None:
        with reads(Path(name)):
            done.wait(10)

    threads = [threading.Thread(target=read, args=(f"{number}.png",)) for number in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(said) == 3)
    done.set()
    for thread in threads:
        thread.join()
    assert sorted(warning.message[:5] for warning in said) == ["0.png", "1.png", "2.png"]


def test_the_thread_is_not_there_when_the_process_forks(said: list[PixelwiseWarning]):
    with reads(Path("a.png")):
        before = stalls._thread
        child = os.fork()
        if child == 0:
            alone = threading.active_count() == 1 and stalls._thread is None and not stalls._reads
            with reads(Path("b.png")):
                end = time.monotonic() + 10
                while not said and time.monotonic() < end:
                    time.sleep(0.01)
            own = [warning.message[:5] for warning in said] == ["b.png"]
            os._exit(0 if alone and own else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert stalls._thread not in (None, before)
        until(lambda: said)
    assert [warning.message[:5] for warning in said] == ["a.png"]


def test_watching_costs_next_to_nothing(said: list[PixelwiseWarning]):
    path = Path("a.png")
    start = time.perf_counter()
    for _ in range(10_000):
        with reads(path):
            pass
    assert time.perf_counter() - start < 1.0  # 100 microseconds each, a hundred times what it takes
