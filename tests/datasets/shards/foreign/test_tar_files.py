import gzip
import io
import tarfile
from pathlib import Path

import pytest
from foreign_data import write_tar

from pixelwise.datasets.shards.foreign import tar_files
from pixelwise.datasets.shards.foreign.tar_files import members_of, read_headers
from pixelwise.errors import DataError
from pixelwise.storage.stores.store import FolderStore

MEMBERS = {"a.jpg": b"12345", "b/" + "long" * 60 + ".png": bytes(3000), "ä.txt": b"", "c.png": bytes(512)}


def headers(path: Path) -> list[tuple[str, int, int]]:
    return [tuple(one) for one in read_headers(FolderStore(path.parent), path.name, path.name)]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_places_are_those_of_the_contents(tmp_path: Path, format: int):
    members = {name: content for name, content in MEMBERS.items() if format != tarfile.USTAR_FORMAT or len(name) < 90}
    path = write_tar(tmp_path / "x.tar", members, format=format)
    content = path.read_bytes()
    found = headers(path)
    assert {name: content[offset : offset + size] for name, offset, size in found} == members


def test_folders_and_links_are_no_files(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, kind in (
            ("d", tarfile.DIRTYPE),
            ("l", tarfile.SYMTYPE),
            ("h", tarfile.LNKTYPE),
            ("f", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.jpg"
            tar.addfile(info)
        info = tarfile.TarInfo("a.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    assert [name for name, _, _ in headers(tmp_path / "x.tar")] == ["a.jpg"]


def test_contents_are_not_read(tmp_path: Path):
    path = write_tar(tmp_path / "x.tar", {f"{number}.jpg": bytes(200_000) for number in range(20)})

    class Counting(FolderStore):
        bytes_read = 0

        def read(self, name: str, offset: int, size: int) -> bytes:
            content = super().read(name, offset, size)
            self.bytes_read += len(content)
            return content

    store = Counting(tmp_path)
    assert len(read_headers(store, path.name, "x")) == 20
    assert store.bytes_read < 22 * 2 * 4096


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: gzip.compress(content), "gzip"),
        (lambda content: content[:3000], "ends before|damaged"),
        (lambda content: content[:1536] + b"x" * 512 + content[2048:], "no header at byte 1536"),
        (lambda content: b"not a tar" * 100, "damaged"),
        (lambda content: content[:1536] + b"ab", "no header at byte 1536|unexpected end"),
    ],
)
def test_damage_is_named(tmp_path: Path, change, said: str):
    path = write_tar(tmp_path / "x.tar", {"a.jpg": bytes(600), "b.jpg": bytes(600)})
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=said) as caught:
        headers(path)
    assert caught.value.code == "D273"
    assert "x.tar" in caught.value.message


def test_headers_are_read_once_for_each_version(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch):
    write_tar(tmp_path / "a.tar", MEMBERS)
    write_tar(tmp_path / "b.tar", {"1.png": b"1"})
    store = FolderStore(tmp_path)
    first = members_of(store, {"a.tar": "1", "b.tar": "1"}, "here", str)
    read = []
    plain = tar_files.read_headers
    monkeypatch.setattr(
        tar_files, "read_headers", lambda store, name, shown: read.append(name) or plain(store, name, shown)
    )
    assert members_of(store, {"a.tar": "1", "b.tar": "1"}, "here", str) == first
    assert read == []
    assert members_of(store, {"a.tar": "1", "b.tar": "2"}, "here", str) == first
    assert read == ["b.tar"]
