import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub, hub_of

from pixelwise.errors import DataError
from pixelwise.storage.stores import remote
from pixelwise.storage.stores.hub import HubStore
from pixelwise.storage.stores.remote import remote_store

pytest.importorskip("obstore")
FILES = {"README.md": b"text", "data/train.tar": bytes(range(200)), "data/a b.tar": b"12345", "val.tar": b"v", "z": b""}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name, content in FILES.items():
        path = tmp_path / "hub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    with hub_of(tmp_path / "hub") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        remote._opened.cache_clear()
        yield hub
    remote._opened.cache_clear()


def test_all_pages_of_a_listing_are_read(hub: Hub):
    store = HubStore("hf://datasets/owner/name")
    assert {name: version.size for name, version in store.versions("").items()} == {
        name: len(content) for name, content in FILES.items()
    }
    assert store.names("data") == ["data/a b.tar", "data/train.tar"]
    # One request for the commit and two for the six entries.
    assert len(hub.requests) == 3


def test_ranges_come_from_the_host_of_the_files(hub: Hub):
    store = HubStore("hf://datasets/owner/name@main")
    assert store.read("data/train.tar", 10, 5) == bytes(range(10, 15))
    assert store.read("data/a b.tar", 3, 100) == b"45"
    assert {host for host, _, _ in hub.requests} == {"hub", "files"}


def test_a_folder_of_a_data_set(hub: Hub):
    store = HubStore("hf://datasets/owner/name/data")
    assert store.names("") == ["a b.tar", "train.tar"]
    assert store.read("a b.tar", 0, 2) == b"12"


def test_a_branch_that_moves_on_changes_nothing(hub: Hub):
    store = HubStore("hf://datasets/owner/name")
    assert store.commit() == "1" * 40
    again = pickle.loads(pickle.dumps(store))
    assert repr(again) == "HubStore()"
    assert again.commit() == "1" * 40
    hub.commit = "2" * 40
    assert store.commit() == again.commit() == "1" * 40
    assert HubStore("hf://datasets/owner/name").commit() == "2" * 40


@pytest.mark.parametrize("where", ["HF_TOKEN", "file", "HF_TOKEN_PATH"])
def test_the_token_goes_to_the_hub_alone(hub: Hub, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hub.private = True
    with pytest.raises(PermissionError, match="HF_TOKEN") as caught:
        HubStore("hf://datasets/owner/name").names("")
    assert hub.endpoint not in str(caught.value)
    if where == "HF_TOKEN":
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    else:
        file = tmp_path / ("home/token" if where == "file" else "elsewhere")
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{TOKEN}\n")
        monkeypatch.setenv("HF_TOKEN_PATH", "" if where == "file" else str(file))
    hub.requests.clear()
    store = HubStore("hf://datasets/owner/name")
    assert store.read("val.tar", 0, 1) == b"v"
    assert store.versions("")["val.tar"].size == 1
    assert {(host, token) for host, _, token in hub.requests} == {("hub", f"Bearer {TOKEN}"), ("files", None)}
    assert TOKEN not in repr(store) + repr(pickle.dumps(store))


def test_a_hub_that_is_busy_is_asked_again(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub.failures = 2
    assert HubStore("hf://datasets/owner/name").commit() == "1" * 40
    hub.failures = 100
    with pytest.raises(OSError, match="error 503"):
        HubStore("hf://datasets/owner/name").commit()


@pytest.mark.parametrize("address", ["hf://datasets/owner/other", "hf://datasets/owner/name@other"])
def test_what_the_hub_does_not_know(hub: Hub, address: str):
    with pytest.raises(FileNotFoundError, match="the hub knows no such data set"):
        HubStore(address).names("")


@pytest.mark.parametrize(
    "address", ["hf://owner/name", "hf://models/owner/name", "hf://datasets/name", "hf://datasets/a/b@"]
)
def test_other_addresses_are_refused(address: str):
    with pytest.raises(DataError, match="hf://datasets/OWNER/NAME") as caught:
        remote_store(address)
    assert caught.value.code == "D222"


def test_nothing_is_written_to_the_hub(hub: Hub):
    store = HubStore("hf://datasets/owner/name")
    for write in (lambda: store.put("a", b""), lambda: store.create("a", b""), lambda: store.remove("val.tar")):
        with pytest.raises(OSError, match="only be read"):
            write()
