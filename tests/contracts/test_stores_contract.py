"""What a store of another machine has to do, asked of every kind: S3, Google Cloud Storage and Azure."""

from __future__ import annotations

import hashlib
import traceback
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from living_stores import KINDS, Living, give_access
from object_stores import BUCKET, KEY, signed_query

from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.remote import RemoteStore, remote_store

pytest.importorskip("obstore")
pytestmark = pytest.mark.heavy
NAMES = ("a", "b c", "d+e", "ä/ö.tar", "f%20g", "h#i", "j&k=l", "m'n", "o/p/q")


@pytest.fixture(scope="module", params=KINDS)
def living(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with KINDS[request.param](tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def store(living: Living, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    """The store of a folder that nothing is in."""
    give_access(monkeypatch, living.environment["variables"])
    return RemoteStore(f"{living.address}/{uuid.uuid4().hex}")


def test_files_are_written_and_read_by_ranges(store: RemoteStore):
    content = bytes(range(200))
    store.put("a.tar", content)
    assert store.size("a.tar") == 200
    assert store.read("a.tar", 0, 200) == content
    assert store.read("a.tar", 10, 5) == content[10:15]
    assert store.read("a.tar", 190, 100) == content[190:]
    assert (store.has("a.tar"), store.has("a")) == (True, False)
    version, (read, mark) = store.version("a.tar"), store.read_marked("a.tar", 10, 5)
    assert (read, mark) == (content[10:15], f"200 {version.mark}")
    store.put("a.tar", content[::-1])
    assert store.read("a.tar", 0, 200) == content[::-1]
    assert store.version("a.tar").mark != version.mark
    store.put("empty", b"")
    assert store.size("empty") == 0


def test_of_many_that_create_a_file_one_writes(store: RemoteStore):
    with ThreadPoolExecutor(8) as threads:
        written = list(threads.map(lambda number: store.create("receipt", b"%d" % number), range(24)))
    assert sum(written) == 1
    assert store.read("receipt", 0, 9) == b"%d" % written.index(True)
    store.remove("receipt")
    store.remove("receipt")
    assert store.create("receipt", b"again")


def test_names_of_any_kind_are_listed_over_pages(store: RemoteStore):
    for name in NAMES:
        store.put(f"in/{name}", name.encode())
    store.put("beside", b"")
    assert store.names("in") == sorted(f"in/{name}" for name in NAMES)
    assert len(store.names("")) == len(NAMES) + 1
    assert (store.names("no"), store.some_names("no")) == ([], [])
    assert store.some_names("in")
    assert [store.read(f"in/{name}", 0, 99) for name in NAMES] == [name.encode() for name in NAMES]
    for name in NAMES:
        store.remove(f"in/{name}")
    assert store.names("") == ["beside"]


def test_large_files_are_sent_in_parts_and_once(store: RemoteStore, tmp_path: Path):
    file, content = tmp_path / "a.tar", bytes(range(256)) * 80_000  # more than two parts
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    assert [store.send("a.tar", file, digest), store.send("a.tar", file, digest)] == [True, False]
    assert store.read("a.tar", 0, len(content)) == content
    store.put("b.tar", content[:-1] + b"\0")
    assert store.send("b.tar", file, digest)
    assert store.read("b.tar", len(content) - 1, 1) == content[-1:]


def test_every_way_that_gives_access_works(living: Living, monkeypatch: pytest.MonkeyPatch):
    for way, environment in living.environment.items():
        give_access(monkeypatch, environment)
        store = RemoteStore(f"{living.address}/ways")
        store.put(way, b"written")
        assert store.read(way, 0, 7) == b"written", way


def failed(work, code: type[OSError] = OSError) -> str:
    """What is said of work that fails, as a traceback shows it."""
    with pytest.raises(code) as caught:
        work()
    return "".join(traceback.format_exception(caught.value))


def test_what_gives_no_access_is_said_without_it(living: Living, monkeypatch: pytest.MonkeyPatch):
    for what, (environment, said) in living.refused.items():
        give_access(monkeypatch, environment)
        store = RemoteStore(f"{living.address}/refused")
        for work in (
            lambda store=store: store.read("a", 0, 1),
            lambda store=store: store.put("a", b""),
            lambda store=store: store.create("a", b""),
            lambda store=store: store.names(""),
        ):
            shown = failed(work)
            assert said in shown, what
            assert not [one for one in (KEY, KEY[:-6], "sig=", "://") if one in shown]


def test_what_is_missing_is_told_apart(living: Living, store: RemoteStore):
    assert "no such file" in failed(lambda: store.read("none", 0, 1), FileNotFoundError)
    assert "no such file" in failed(lambda: store.size("none"), FileNotFoundError)
    other = RemoteStore(f"{living.address}other/photos")
    for work in (lambda: other.put("a", b""), lambda: other.create("a", b""), lambda: other.names("")):
        assert "no such bucket or container" in failed(work)


def test_a_store_that_may_only_be_read_is_read(living: Living, store: RemoteStore, monkeypatch: pytest.MonkeyPatch):
    if living.reading is None:
        pytest.skip("this server does not tell rights apart by credentials")
    store.put("a", b"1")
    give_access(monkeypatch, living.reading)
    reading = RemoteStore(store._address)
    assert (reading.read("a", 0, 1), reading.names("")) == (b"1", ["a"])
    for work in (lambda: reading.put("a", b""), lambda: reading.create("b", b"")):
        assert "refuses access" in failed(work, PermissionError)
    # Azurite answers a request to remove several files, which this is, with 500.
    failed(lambda: reading.remove("a"))
    assert reading.names("") == ["a"]


def test_a_signed_address_counts_before_the_environment(living: Living, monkeypatch: pytest.MonkeyPatch):
    if not living.address.startswith("az"):
        pytest.skip("only Azure signs folders")
    variables = living.environment["variables"]
    give_access(monkeypatch, variables | {"AZURE_STORAGE_ACCOUNT_KEY": "AAAA"})
    query = urlencode(signed_query())
    for address in (f"{living.address}/signed", f"https://photoaccount.blob.core.windows.net/{BUCKET}/signed"):
        store = remote_store(str(place_of(f"{address}?{query}")).replace(":/", "://", 1))
        store.put("a", b"1")
        assert store.read("a", 0, 1) == b"1"
