import functools
import operator
from pathlib import Path

import pytest

from pixelwise.errors import DataError
from pixelwise.machine.careful import by_processes, work

DIVIDE = functools.partial(map, functools.partial(operator.floordiv, 12))
"""Ends the process with an error that nobody expects at a zero."""


@pytest.mark.heavy  # four processes
def test_the_item_that_ends_every_process_is_left_out(tmp_path: Path):
    assert by_processes([1, 2, 0, 4], DIVIDE, int, tmp_path) == {0: 12, 1: 6, 3: 3}


def test_what_a_process_did_before_it_ended_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started = []

    def run(command: list, **_: object) -> object:
        started.append(command[-1].read_bytes())
        try:
            work(*map(str, command[-2:]))
        except ZeroDivisionError:
            command[-1].open("ab").write(b"[7,")  # it was writing a note
        return type("Done", (), {"returncode": -9, "stderr": b""})

    monkeypatch.setattr("pixelwise.machine.careful.subprocess.run", run)
    assert by_processes([1, 2, 0, 4, 6], DIVIDE, int, tmp_path) == {0: 12, 1: 6, 3: 3, 4: 2}
    # All; the zero with the first of the rest; each alone, the zero twice; the others.
    assert 4 <= len(started) <= 6


def refuse(items: object) -> list:
    raise DataError("D102", "no image", "repair it")


def test_an_error_is_that_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelwise.machine.careful.subprocess.run", lambda command, **_: work(*map(str, command[-2:])))
    with pytest.raises(DataError, match="no image"):
        by_processes([1], refuse, int, tmp_path)
