from typing import Any

from pixelwise.observer import SILENT, Observer, observing


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
