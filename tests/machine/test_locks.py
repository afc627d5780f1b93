import json
import os
import sys
from pathlib import Path

import pytest
from end_to_end.other_systems.sitecustomize import ranges_of_windows

from pixelwise.machine import locks
from pixelwise.machine.locks import HeldLock, take_lock


@pytest.fixture(params=["flock", "ranges of bytes"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Files locked as a whole, and as Windows locks them."""
    if request.param != "flock":
        monkeypatch.setitem(sys.modules, "msvcrt", ranges_of_windows())
        monkeypatch.setitem(sys.modules, "fcntl", None)
    return request.param


def taken(path: Path, *, shared: bool = False) -> HeldLock:
    lock = take_lock(path, shared=shared)
    assert lock is not None
    return lock


def test_a_lock_is_held_alone(tmp_path: Path):
    path = tmp_path / "lock"
    lock = taken(path)
    assert take_lock(path) is None
    assert take_lock(path, shared=True) is None
    lock.release()
    taken(path).release()


def test_shared_locks_exclude_an_exclusive_one(tmp_path: Path):
    path = tmp_path / "lock"
    sharing = [taken(path, shared=True) for _ in range(40)]
    for lock in sharing:
        assert take_lock(path) is None
        lock.release()
    taken(path).release()


def test_more_than_can_share_are_refused(tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch):
    if system == "flock":
        pytest.skip("any number of processes share a whole file")
    monkeypatch.setattr(locks, "_SHARES", 4)
    sharing = [taken(tmp_path / "lock", shared=True) for _ in range(4)]
    assert take_lock(tmp_path / "lock", shared=True) is None
    for lock in sharing:
        lock.release()


def test_what_is_locked_can_be_read_and_written(tmp_path: Path):
    path = tmp_path / "lock"
    path.write_bytes(b"before")
    lock = taken(path)
    assert path.read_bytes() == b"before"
    path.write_bytes(json.dumps({"pid": 1}).encode())
    assert path.stat().st_size == 10  # nothing is written where the range lies
    lock.release()
    assert path.read_bytes() == b'{"pid": 1}'


@pytest.mark.parametrize("moves", [True, False])
def test_releasing_can_remove_the_file(tmp_path: Path, moves: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "MOVES_OPEN_FILES", moves)
    path = tmp_path / "lock"
    taken(path).release()
    assert path.exists()
    taken(path).release(remove=True)
    assert not path.exists()


def test_a_lock_no_longer_stands_for_a_path_whose_file_was_removed(tmp_path: Path):
    path = tmp_path / "lock"
    lock = taken(path)
    path.unlink()
    assert not lock.stands_for(path)
    other = taken(path)
    assert other.stands_for(path)
    other.release()
    lock.release()


def test_a_lock_file_removed_meanwhile_is_replaced_by_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "lock"
    opened: list[int] = []
    real = os.open

    def open_and_lose(*arguments: object, **options: object) -> int:
        descriptor = real(*arguments, **options)  # type: ignore[arg-type]
        if not opened:
            path.unlink()  # by who held the lock until now
        opened.append(descriptor)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_lose)
    lock = taken(path)
    assert len(opened) == 2
    assert lock.stands_for(path)
    lock.release()


def test_a_forked_child_leaves_the_lock_to_its_parent(tmp_path: Path, system: str):
    if system != "flock":
        pytest.skip("Windows has no fork")
    path = tmp_path / "lock"
    lock = taken(path)
    child = os.fork()
    if not child:
        lock.abandon()
        os._exit(0 if take_lock(path) is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert take_lock(path) is None
    lock.release()
    taken(path).release()


def test_no_descriptor_stays_open(tmp_path: Path):
    before = len(os.listdir("/dev/fd"))
    lock = taken(tmp_path / "lock")
    assert take_lock(tmp_path / "lock") is None
    lock.release()
    with pytest.raises(IsADirectoryError):
        take_lock(tmp_path)
    assert len(os.listdir("/dev/fd")) == before
