import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixelwise.pages.catalog import Refused
from pixelwise.pages.large import wholes
from pixelwise.pages.large.files import PREDICTION
from pixelwise.pages.large.wholes import Standing, Wholes


@pytest.fixture
def made() -> Iterator[Wholes]:
    found = Wholes()
    yield found
    found.close()


def ended(before: set[threading.Thread]) -> None:
    for thread in set(threading.enumerate()) - before:
        thread.join()


def test_a_prediction_stays_until_the_end(made: Wholes):
    before, begun, goes_on = set(threading.enumerate()), threading.Event(), threading.Event()
    calls: list[Path] = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / PREDICTION).write_bytes(bytes(25))
        begun.set()
        goes_on.wait()

    made.standing("a", 100, make)
    begun.wait()
    assert made.standing("a", 100, make) == Standing(0.25)
    assert made.known("a") is None
    goes_on.set()
    ended(before)
    assert made.standing("a", 100, make) == Standing(1.0, calls[0])
    assert (made.known("a"), len(calls)) == (calls[0], 1)
    made.close()
    assert not calls[0].exists()
    assert made.known("a") is None


@pytest.mark.parametrize("error", [Refused("no weights"), OSError("no weights")])
def test_what_failed_says_why_and_is_tried_again_later(made: Wholes, error: Exception, monkeypatch: pytest.MonkeyPatch):
    before, calls = set(threading.enumerate()), []

    def make(folder: Path) -> None:
        calls.append(folder)
        raise error

    made.standing("a", 1, make)
    ended(before)
    assert made.standing("a", 1, make).reason == "no weights"
    assert (made.known("a"), len(calls)) == (None, 1)
    monkeypatch.setattr(wholes, "PATIENCE", -1.0)
    made.standing("a", 1, make)
    ended(before)
    assert len(calls) == 2
    assert not calls[0].exists()


def test_what_nobody_waits_for_is_given_up(made: Wholes, monkeypatch: pytest.MonkeyPatch):
    before, begun, left = set(threading.enumerate()), threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        begun.set()
        while folder.exists():
            left.wait(0.001)
        raise Refused("given up")

    made.standing("a", 1, make)
    begun.wait()
    monkeypatch.setattr(wholes, "PATIENCE", -1.0)
    made.standing("b", 1, lambda folder: None)
    ended(before)  # both


def test_the_oldest_ones_are_removed(made: Wholes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wholes, "MOST_BYTES", 250)
    monkeypatch.setattr(wholes, "PATIENCE", -1.0)
    for name in "abc":
        before = set(threading.enumerate())
        made.standing(name, 100, lambda folder: None)
        ended(before)
    made.standing("c", 100, lambda folder: None)
    assert [made.known(name) is not None for name in "abc"] == [False, True, True]
