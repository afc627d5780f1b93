import hashlib
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server, serving

from pixelwise.errors import RecipeError
from pixelwise.machine.processes import FORKS
from pixelwise.storage.stores import remote
from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.remote import RemoteStore, remote_store

pytest.importorskip("obstore")
SECRET = "sig=very%2Fsecret"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "a.tar").write_bytes(bytes(range(200)))
    with serving(tmp_path) as server:
        yield server


def test_ranges_are_asked_for(server: Server):
    store = RemoteStore(server.address)
    assert store.size("a.tar") == 200
    assert store.read("a.tar", 10, 5) == bytes(range(10, 15))
    assert store.read("a.tar", 190, 100) == bytes(range(190, 200))
    assert store.read("a.tar", 5, 0) == b""
    assert server.requests == [
        "HEAD /photos/a.tar", "GET /photos/a.tar bytes=10-14", "GET /photos/a.tar bytes=190-289",
    ]  # fmt: skip


def test_the_version_changes_with_the_content(server: Server):
    store = RemoteStore(server.address)
    first = store.version("a.tar")
    (server.folder / "a.tar").write_bytes(bytes(range(1, 201)))
    assert store.version("a.tar").size == first.size
    assert store.version("a.tar").mark != first.mark


@pytest.mark.heavy
def test_a_server_that_is_busy_is_asked_again(server: Server):
    server.failures = 3
    assert RemoteStore(server.address).read("a.tar", 0, 2) == b"\x00\x01"
    assert len(server.requests) == 4


def test_what_is_missing_or_refused_is_said_without_the_address(server: Server):
    server.query = SECRET
    place_of(f"{server.address}?{SECRET}")
    store = remote_store(server.address)
    assert store.read("a.tar", 0, 1) == b"\x00"
    with pytest.raises(FileNotFoundError, match="no such file"):
        store.read("b.tar", 0, 1)
    server.query = "another"
    errors: list[BaseException] = []
    for work in (lambda: store.read("a.tar", 0, 1), lambda: store.size("a.tar")):
        with pytest.raises(OSError, match=r"refuses access|403") as caught:
            work()
        errors.append(caught.value)
    server.ranges, server.query = False, SECRET
    with pytest.raises(OSError, match="as expected") as caught:
        store.read("a.tar", 3, 1)
    errors.append(caught.value)
    for error in errors:
        shown = "".join(traceback.format_exception(error))
        assert "very" not in shown
        assert server.address not in str(error)
    assert "very" not in repr(store)


def test_no_more_requests_than_allowed_wait_at_the_same_time(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "_at_once", threading.BoundedSemaphore(3))
    server.latency = 0.02
    store = RemoteStore(server.address)
    threads = [threading.Thread(target=store.read, args=("a.tar", number, 1)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 12
    assert server.busiest <= 3


def test_one_store_serves_an_address_and_survives_pickling(server: Server):
    assert remote_store(server.address) is remote_store(server.address)
    store = pickle.loads(pickle.dumps(remote_store(server.address)))
    assert store.read("a.tar", 1, 1) == b"\x01"


def test_a_damaged_index_cannot_ask_for_more_than_the_memory(server: Server):
    with pytest.raises(MemoryError):
        RemoteStore(server.address).read("a.tar", 0, 2**61)


@pytest.mark.skipif(not FORKS, reason="this system does not fork")
def test_a_forked_process_is_refused_instead_of_waiting_for_ever(server: Server):
    store = RemoteStore(server.address)
    store.read("a.tar", 0, 1)
    child = os.fork()
    if not child:
        try:
            store.read("a.tar", 0, 1)
        except OSError as error:
            os._exit(0 if "forked" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert store.read("a.tar", 0, 1) == b"\x00"


def test_without_obstore_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(RecipeError) as caught:
        RemoteStore("s3://bucket/photos")
    assert caught.value.code == "R240"
    assert "pixelwise[remote]" in caught.value.help


def test_what_a_store_holds_already_is_not_sent_again(tmp_path: Path):
    store, file = RemoteStore("memory:///"), tmp_path / "a.tar"
    content = bytes(range(256)) * 40_000  # more than one part
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    assert [store.send("a", file, digest), store.send("a", file, digest)] == [True, False]
    assert store.read("a", 0, len(content)) == content
    # A file that another program wrote says nothing about its content.
    store.put("b", content)
    assert not store.send("b", file, digest)
    store.put("b", content[:-1] + b"\0")
    assert store.send("b", file, digest)
    assert store.read("b", len(content) - 1, 1) == content[-1:]


def test_some_names_tell_whether_anything_is_there():
    store = RemoteStore("memory:///")
    assert store.some_names("") == []
    store.put("photos/a", b"")
    assert (store.some_names(""), store.some_names("other")) == (["photos/a"], [])
    assert [store.has("photos/a"), store.has("photos")] == [True, False]
