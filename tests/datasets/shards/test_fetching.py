from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from serving import Server, serving

from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.shards import fetching
from pixelwise.datasets.shards.facts import INDEX
from pixelwise.datasets.shards.fetching import fetched_index
from pixelwise.errors import DataError
from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.remote import remote_store

pytest.importorskip("obstore")
MASK = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)


@pytest.fixture
def server(make_folder: Callable[..., Path], tmp_path: Path, own_cache: Path) -> Iterator[Server]:
    root = make_folder({f"{number}": MASK for number in range(6)})
    (root / "dataset.toml").write_text('classes = ["ä", "b"]\n', "utf-8")
    shard(root, tmp_path / "shards")
    with serving(tmp_path / "shards") as server:
        yield server


def fetched(server: Server) -> Path:
    found = fetched_index(place_of(server.address), remote_store(server.address))
    assert found is not None
    return found


def test_an_address_without_an_index_has_none(server: Server):
    (server.folder / INDEX).unlink()
    assert fetched_index(place_of(server.address), remote_store(server.address)) is None


def test_an_index_is_fetched_once_for_each_version(server: Server):
    folder = fetched(server)
    for name in (INDEX, "dataset.toml"):
        assert (folder / name).read_bytes() == (server.folder / name).read_bytes()
    assert fetched(server) == folder
    assert [one for one in server.requests if one.startswith("GET")] == [
        f"GET /photos/{INDEX} bytes=0-{(folder / INDEX).stat().st_size - 1}"
    ]


def test_a_large_index_is_fetched_in_parts(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetching, "_PART", 700)
    assert (fetched(server) / INDEX).read_bytes() == (server.folder / INDEX).read_bytes()
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda server: (server.folder / INDEX).write_bytes(b"PAR1" * 100), "D270"),
        (lambda server: setattr(server, "query", "another"), "D272"),
    ],
)
def test_what_is_wrong_is_said_with_the_address(server: Server, change: Callable[[Server], None], code: str):
    change(server)
    with pytest.raises(DataError) as caught:
        fetched(server)
    assert caught.value.code == code
    assert server.address in caught.value.message


def test_an_index_of_any_size_is_not_fetched(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetching, "LARGEST", 100)
    with pytest.raises(DataError, match="too many") as caught:
        fetched(server)
    assert caught.value.code == "D270"
