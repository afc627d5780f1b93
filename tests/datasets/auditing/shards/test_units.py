from pathlib import Path

import pytest

from pixelwise.datasets.auditing.shards.units import PATIENCE, Attempts, Unit, divide


@pytest.mark.parametrize(
    ("total", "number", "length"),
    [(0, 0, 0), (1, 1, 1), (64, 1, 64), (100, 2, 64), (6400, 64, 100), (10**6, 977, 1024)],
)
def test_units_follow_each_other_and_hold_every_pair_once(total: int, number: int, length: int):
    units = divide(total)
    assert [unit.first for unit in units] == [0, *(unit.end for unit in units)][: len(units)]
    assert sum(unit.pairs for unit in units) == total
    assert (len(units), max((unit.pairs for unit in units), default=0)) == (number, length)


def test_attempts_are_counted_until_the_unit_is_finished():
    attempts, other = Attempts(("data", 1)), Attempts(("data", 2))
    assert [attempts.begin(Unit(0, 9)) for _ in range(4)] == [1, 2, 3, 3]
    assert [attempts.begin(Unit(9, 12)), other.begin(Unit(0, 9))] == [1, 1]
    attempts.forget(Unit(0, 9))
    assert attempts.begin(Unit(0, 9)) == 1


def test_where_no_notes_can_be_kept_units_are_done_carefully(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    attempts = Attempts("data")
    assert attempts.begin(Unit(0, 9)) > PATIENCE
    attempts.forget(Unit(0, 9))
