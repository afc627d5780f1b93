"""Files that change while parts of them are read."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from serving import serving

from pixelwise.storage.stores.remote import RemoteStore
from pixelwise.storage.stores.store import FolderStore, MemoryStore, Store
from pixelwise.storage.stores.versions import ChangedFileError, Versions


def check_changes(store: Store, path: Path) -> None:
    """The rules that hold for every store of files that can change."""
    path.write_bytes(b"0123456789")
    versions = Versions()
    assert versions.read(store, "a.tar", 2, 3) == b"234"
    assert versions.read(store, "a.tar", 8, 5) == b"89"
    known = pickle.loads(pickle.dumps(versions))
    path.write_bytes(b"abcdefghij")
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 10**9))
    for one in (versions, known):
        with pytest.raises(ChangedFileError, match="has changed"):
            one.read(store, "a.tar", 2, 3)
    assert Versions().read(store, "a.tar", 2, 3) == b"cde"
    with pytest.raises(FileNotFoundError):
        versions.read(store, "b.tar", 0, 1)


def test_a_file_of_a_folder_that_is_written_again_is_noticed(tmp_path: Path):
    check_changes(FolderStore(tmp_path), tmp_path / "a.tar")


def test_a_file_of_a_server_that_has_another_tag_is_noticed(tmp_path: Path):
    pytest.importorskip("obstore")
    with serving(tmp_path) as server:
        check_changes(RemoteStore(server.address), tmp_path / "a.tar")
        # One request for each part, which says of which version it is.
        assert server.requests[:2] == ["GET /photos/a.tar bytes=2-4", "GET /photos/a.tar bytes=8-12"]


def test_a_file_that_is_replaced_is_read_as_it_was_opened(tmp_path: Path):
    store, versions = FolderStore(tmp_path), Versions()
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    assert versions.read(store, "a.tar", 0, 2) == b"01"
    (tmp_path / "new").write_bytes(b"abcdefghij!")
    os.replace(tmp_path / "new", tmp_path / "a.tar")
    assert versions.read(store, "a.tar", 2, 2) == b"23"
    # Another process opens the one that is there now.
    with pytest.raises(ChangedFileError):
        pickle.loads(pickle.dumps(versions)).read(pickle.loads(pickle.dumps(store)), "a.tar", 2, 2)


def test_a_store_that_cannot_tell_is_read():
    versions = Versions()
    assert versions.read(MemoryStore(b"0123"), "", 0, 2) == b"01"
    assert versions.read(MemoryStore(b"abcd"), "", 2, 2) == b"cd"
