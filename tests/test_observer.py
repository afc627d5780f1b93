from typing import Any

from pixelwise.observer import SILENT, Observer, Relay, observing


def test_an_observer_is_silent_until_something_is_overridden():
    SILENT.phase("training")
    SILENT.progress(1, None)
    SILENT.warn("W1", "x")


def test_functions_become_an_observer_and_are_removed_from_the_options():
    said: list[object] = []
    keywords: dict[str, Any] = {"progress": lambda *counts: said.append(counts), "boundary": False}

    observer = observing(SILENT, keywords)
    observer.progress(1, 2)
    observer.progress(3, None)  # the functions of before never heard of work of unknown length
    observer.warn("K412", "nobody listens")

    assert said == [(1, 2)]
    assert keywords == {"boundary": False}


def test_without_functions_the_observer_stays():
    mine = Observer()
    assert observing(mine, {"progress": None, "warn": None}) is mine
    assert observing(mine, {}) is mine


def test_warnings_reach_their_function():
    said: list[tuple[str, str]] = []
    observing(SILENT, {"warn": lambda code, message: said.append((code, message))}).warn("K412", "damaged")
    assert said == [("K412", "damaged")]


def test_a_relay_passes_every_event_on_and_its_subclasses_may_look_at_some():
    said: list[tuple[str, tuple[Any, ...]]] = []

    class Everything(Observer):
        def __getattribute__(self, name: str) -> Any:
            return lambda *what: said.append((name, what))

    class Curious(Relay):
        def phase(self, name: str, unit: str = "") -> None:
            said.append(("looked", (name,)))
            super().phase(name, unit)

    relay, plain = Curious(Everything()), Relay(Everything())
    relay.phase("x", "bytes")
    assert said == [("looked", ("x",)), ("phase", ("x", "bytes"))]
    events = [name for name in vars(Observer) if not name.startswith("_")]
    assert {"phase", "progress", "begin", "step", "warn"} <= set(events)
    for event in events:
        getattr(plain, event)(event)
    assert said[2:] == [(event, (event,)) for event in events]
