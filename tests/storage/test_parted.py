from __future__ import annotations

import random
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pixelwise.storage import parted
from pixelwise.storage.cache_kinds import EXAMINED
from pixelwise.storage.parted import PartedCache

KEY = "ab12"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # On a slow machine, time would have parts written before they are full.
    monkeypatch.setattr(parted, "time", SimpleNamespace(monotonic=lambda: 0.0, time_ns=time.time_ns))
    return tmp_path / "pixelwise"


def opened(**options: object) -> PartedCache:
    return PartedCache(EXAMINED, KEY, **options)  # type: ignore[arg-type]


def store(values: dict[bytes, bytes], **options: object) -> None:
    cache = opened(**options)
    for key, value in values.items():
        cache.put(key, value)
    cache.save()


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("examined-*"))


def numbered(first: int, end: int) -> dict[bytes, bytes]:
    return {f"k{number}".encode(): f"v{number}".encode() for number in range(first, end)}


def known(keys: object) -> dict[bytes, bytes]:
    cache = opened()
    return {key: value for key in keys if (value := cache.get(key)) is not None}  # type: ignore[attr-defined]


def test_a_value_is_found_again_by_its_key_and_what_it_says(folder: Path):
    store({b"a": b"1", b"b": b"2"})
    cache = opened()
    assert (cache.get(b"a"), cache.get(b"b"), cache.get(b"c")) == (b"1", b"2", None)
    assert cache.get(b"a", lambda value: value == b"2") is None
    assert PartedCache(EXAMINED, "ab").get(b"a") is None
    assert PartedCache(EXAMINED, "ab123").get(b"a") is None


def test_a_kill_loses_less_than_a_tenth(folder: Path):
    for number in (83, 999):
        cache = opened(expected=number)
        values = {str(number).encode() + key: value for key, value in numbered(0, number).items()}
        for key, value in values.items():
            cache.put(key, value)
        assert 0.9 * number < len(known(values)) < number


def test_slow_values_are_written_before_a_part_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr(parted.time, "monotonic", lambda: now)
    cache = opened(expected=10**6)
    lost = []
    for number, key in enumerate(numbered(0, 200)):
        now = number + 1.0
        cache.put(key, b"")
        lost.append(number + 1 - len(known(numbered(0, number + 1))) if number % 50 == 49 else 0)
    assert all(missing <= (number + 1) / 16 + 1 for number, missing in enumerate(lost))
    assert len(parts(folder)) < 100


def test_small_parts_are_joined(folder: Path):
    for start in range(0, 50, 5):
        store(numbered(start, start + 5), most=20)
        assert known(numbered(0, 50)) == numbered(0, start + 5)
    assert len(parts(folder)) <= 5  # of 10 that were written


def test_full_parts_are_left_alone(folder: Path):
    store(numbered(0, 40), most=20)
    before = {path: path.stat().st_mtime_ns for path in parts(folder)}
    assert len(before) == 2
    store(numbered(40, 41), most=20)
    assert {path: path.stat().st_mtime_ns for path in parts(folder) if path in before} == before
    assert known(numbered(0, 50)) == numbered(0, 41)


def test_replaced_values_and_those_of_no_use_go(folder: Path):
    for version in range(30):
        store({b"a": f"{version}".encode(), b"%d" % version: b""}, gone=lambda key: key not in (b"a", b"0"))
    assert known([b"a", *(b"%d" % version for version in range(30))]) == {b"a": b"29", b"0": b"", b"29": b""}
    assert len(parts(folder)) == 1


def test_a_damaged_part_is_left_out_and_goes(folder: Path):
    store(numbered(0, 40), most=20)
    damaged, _ = parts(folder)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    left = known(numbered(0, 40))
    assert len(left) == 20
    store({key: value for key, value in numbered(0, 40).items() if key not in left} | {b"x": b"y"}, most=21)
    assert known([*numbered(0, 40), b"x"]) == numbered(0, 40) | {b"x": b"y"}
    damaged.write_bytes(b"")
    store({b"z": b""}, most=21)
    assert not damaged.exists() or damaged.stat().st_size


def test_two_writers_lose_nothing(folder: Path):
    first, second = opened(most=4), opened(most=4)
    for key, value in numbered(0, 30).items():
        first.put(key, value)
        if int(key[1:]) % 2:
            second.put(key, value)
    for key, value in numbered(30, 50).items():
        second.put(key, value)
    first.save()
    second.save()
    assert known(numbered(0, 50)) == numbered(0, 50)


def test_parts_of_others_are_left_alone_on_request(folder: Path):
    store(numbered(0, 5))
    [other] = parts(folder)
    cache = opened(most=40, expected=160)  # parts of ten
    for key, value in numbered(5, 30).items():
        cache.put(key, value)
    cache.save(own=True)
    assert other.exists()
    assert len(parts(folder)) == 2  # its own three are one
    assert known(numbered(0, 30)) == numbered(0, 30)


def test_nothing_is_lost_when_nothing_can_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch):
    store(numbered(0, 5))
    cache = opened()
    cache.put(b"x", b"y")
    with monkeypatch.context() as patch:
        patch.setattr(parted, "remember", lambda *arguments: None)
        cache.save()
    assert known([*numbered(0, 5), b"x"]) == numbered(0, 5)


@pytest.mark.parametrize("seed", range(2))
def test_any_history_gives_the_newest_values(folder: Path, seed: int):
    """Against a plain dict: puts, replacements, and reading in between."""
    chance = random.Random(seed)
    kept: dict[bytes, bytes] = {}
    for session in range(10):
        cache, before = opened(most=chance.choice([3, 8, 20])), dict(kept)
        for number in range(chance.randrange(25)):
            key, value = b"%d" % chance.randrange(60), b"%d %d" % (session, number)
            if chance.random() < 0.5 and before.get(key) is not None:
                assert cache.get(key, before[key].__eq__) == before[key]
            if chance.random() < 0.5:
                cache.put(key, value)
                kept[key] = value
        cache.save()
        again = opened()
        assert {key: again.get(key, lambda value, key=key: value == kept[key]) for key in kept} == kept
    assert len(parts(folder)) < 30
