import hashlib
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.storage.stores import ahead
from pixelwise.storage.stores.ahead import Range, fetch, read_several, taken
from pixelwise.storage.stores.members import Member, Place
from pixelwise.storage.stores.store import MemoryStore

CONTENT = bytes(range(256)) * 4


class FarStore(MemoryStore):
    """A store of another machine: notes every read, and fails or waits on demand."""

    far = True

    def __init__(self, content: bytes = CONTENT) -> None:
        super().__init__(content)
        self.reads: list[tuple[int, int]] = []
        self.failing = False
        self.together: threading.Barrier | None = None

    def read(self, name: str, offset: int, size: int) -> bytes:
        self.reads.append((offset, size))
        if self.failing:
            raise OSError("away")
        if self.together is not None:
            self.together.wait(10)
        return super().read(name, offset, size)


def members(store: MemoryStore, count: int) -> list[Member]:
    """Members of ten bytes behind each other, each in a tar of its own."""
    found = []
    for number in range(count):
        content = CONTENT[number * 10 : number * 10 + 10]
        digest = hashlib.sha256(content).digest()
        place = Place(store, f"{number}.tar", number * 10, 10, digest, number * 10, number * 10 + 10)
        found.append(Member(f"{number}.tar/a", place))
    return found


def in_one_tar(store: MemoryStore, offsets: list[int], size: int = 10) -> list[Member]:
    found = []
    for start in offsets:
        content = store.content[start : start + size]
        place = Place(store, "a.tar", start, size, hashlib.sha256(content).digest(), start, start + size)
        found.append(Member(f"a.tar/{start}", place))
    return found


def test_neighbours_are_one_request(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "NEAR", 20)
    monkeypatch.setattr(ahead, "LONGEST", 200)
    store = FarStore()
    found = in_one_tar(store, [40, 0, 10, 500, 65, 520, 90, 110, 130, 150, 170, 190, 210, 230])
    fetch([*found, *members(store, 1)])
    assert sorted(store.reads) == [(0, 10), (0, 200), (210, 30), (500, 30)]
    assert [member.read_bytes() for member in found] == [CONTENT[m.place.offset :][:10] for m in found if m.place]
    assert len(store.reads) == 4


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 100)), min_size=2, max_size=30, unique=True))
def test_any_ranges_are_read_right(places: list[tuple[int, int]]):
    store = FarStore()
    found = [one for start, size in places for one in in_one_tar(store, [start], size)]
    fetch(found)
    before = len(store.reads)
    assert before <= len(places)
    for member, (start, size) in zip(found, places, strict=True):
        assert member.read_bytes() == CONTENT[start : start + size]
    assert len(store.reads) == before
    ahead._kept.clear()


def test_what_was_fetched_is_not_asked_for_again():
    store = FarStore()
    found = members(store, 5)
    fetch([*found, *found, Path("an ordinary path")])
    assert len(store.reads) == 5
    assert [member.read_bytes() for member in found] == [CONTENT[n : n + 10] for n in range(0, 50, 10)]
    assert len(store.reads) == 5
    # It was kept for one reader; the next one asks again.
    assert found[0].read_bytes() == CONTENT[:10]
    assert len(store.reads) == 6


def test_requests_wait_at_the_same_time():
    store = FarStore()
    store.together = threading.Barrier(8)
    fetch(members(store, 8))
    assert len(store.reads) == 8
    assert read_several([Range(store, "a.tar", n, 1) for n in range(8)]) == [bytes([n]) for n in range(8)]


def test_files_of_this_machine_are_left_where_they_are():
    near = MemoryStore(CONTENT)
    fetch(members(near, 3))
    assert taken(Range(near, "a.tar", 0, 10)) is None


def test_errors_are_left_to_the_reader():
    store = FarStore()
    found = members(store, 3)
    store.failing = True
    fetch(found)
    with pytest.raises(OSError, match="away"):
        found[1].read_bytes()
    store.failing = False
    assert found[1].read_bytes() == CONTENT[10:20]


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "LARGEST", 35)
    store = FarStore()
    found = members(store, 6)
    fetch(found)
    assert sum(len(content) for _, content in ahead._kept.values()) <= 35
    assert [member.read_bytes() for member in found] == [CONTENT[n : n + 10] for n in range(0, 60, 10)]
    assert len(store.reads) == 9


def test_more_than_the_memory_is_refused():
    with pytest.raises(MemoryError):
        read_several([Range(FarStore(), "a.tar", 0, 2**61), Range(FarStore(), "a.tar", 0, 2**61)])


def test_nothing_is_kept_for_a_store_that_is_made_where_another_one_was():
    for number in range(20):
        content = bytes([number]) * 40
        found = in_one_tar(FarStore(content), [0, 20])
        fetch(found)
        if number % 5 == 4:  # nobody reads what was fetched from the others, and they are given up
            assert [one.read_bytes() for one in found] == [content[:10]] * 2
        del found
