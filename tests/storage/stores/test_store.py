import os
import pickle
import threading
from pathlib import Path

import pytest

from pixelwise.machine.processes import FORKS
from pixelwise.storage.stores import store as module
from pixelwise.storage.stores.store import FolderStore, MemoryStore, require_memory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        (tmp_path / f"{number}.tar").write_bytes(bytes([number]) * 100 + bytes(range(100)))
    return tmp_path


def test_parts_are_read_by_position(folder: Path):
    store = FolderStore(folder)
    assert store.size("3.tar") == 200
    assert store.read("3.tar", 98, 5) == b"\x03\x03\x00\x01\x02"
    assert store.read("3.tar", 198, 50) == b"\x62\x63"
    assert store.read("3.tar", 500, 50) == b""
    assert MemoryStore(b"abcdef").read("any", 2, 3) == b"cde"


def test_no_more_is_allocated_than_there_is(folder: Path):
    assert len(FolderStore(folder).read("1.tar", 0, 2**62)) == 200
    with pytest.raises(MemoryError):
        require_memory(2**62)


def test_files_beyond_the_limit_are_closed_and_opened_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    store = FolderStore(folder)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    for _ in range(3):
        for number in range(5):
            assert store.read(f"{number}.tar", 0, 1) == bytes([number])
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_threads_share_the_files_although_they_are_closed_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_OPEN", 1)
    store, wrong = FolderStore(folder), []

    def work(seed: int) -> None:
        for step in range(300):
            number = (seed + step) % 5
            if store.read(f"{number}.tar", 0, 100) != bytes([number]) * 100:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "..", "", "C:secret", "/etc/passwd"])
def test_names_do_not_lead_out_of_the_folder(folder: Path, name: str):
    (folder.parent / "secret").write_bytes(b"secret")
    with pytest.raises(OSError, match="leads out"):
        FolderStore(folder).read(name, 0, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_instead_of_waited_for(folder: Path):
    os.mkfifo(folder / "pipe.tar")
    with pytest.raises(OSError, match="regular file"):
        FolderStore(folder).read("pipe.tar", 0, 1)


def test_a_pickled_store_opens_its_files_again(folder: Path):
    store = FolderStore(folder)
    store.read("1.tar", 0, 1)
    assert pickle.loads(pickle.dumps(store)).read("1.tar", 0, 1) == b"\x01"


@pytest.mark.skipif(not FORKS, reason="this system does not fork")
def test_a_forked_process_reads_on(folder: Path):
    store = FolderStore(folder)
    store.read("1.tar", 0, 1)
    child = os.fork()
    if not child:
        os._exit(0 if store.read("1.tar", 0, 2) == b"\x01\x01" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.read("1.tar", 1, 1) == b"\x01"


def test_files_are_written_listed_and_removed(tmp_path: Path):
    store = FolderStore(tmp_path / "out")
    assert store.names("") == []
    store.put("a/b.tar", b"first")
    assert store.read("a/b.tar", 0, 9) == b"first"
    (tmp_path / "source").write_bytes(b"second")
    store.put("a/b.tar", tmp_path / "source")
    assert store.read("a/b.tar", 0, 9) == b"second"
    store.put("c", b"")
    assert store.names("") == ["a/b.tar", "c"]
    assert store.names("a") == ["a/b.tar"]
    for _ in range(2):
        store.remove("a/b.tar")
    assert store.names("a") == []


def test_of_those_that_create_a_file_one_does(tmp_path: Path):
    store, winners = FolderStore(tmp_path), []
    threads = [
        threading.Thread(target=lambda own=own: store.create("one", own) and winners.append(own))
        for own in (bytes([number]) * 1000 for number in range(16))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert store.read("one", 0, 2000) == winners[0]
    assert store.names("") == ["one"]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a//b", ""])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str):
    store = FolderStore(tmp_path / "out")
    for work in (lambda: store.put(name, b""), lambda: store.create(name, b""), lambda: store.remove(name)):
        with pytest.raises(OSError, match="leads out"):
            work()
    assert not (tmp_path / "a").exists()
