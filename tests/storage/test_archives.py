"""Malicious archives, damaged ones and good ones."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pixelwise.errors import DataError
from pixelwise.storage.archives import Limits, unpack
from pixelwise.storage.names import printable

Files = dict[str, bytes]


def make_zip(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def make_tar(path: Path, files: Files, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return path


MAKERS: tuple[Callable[[Path, Files], Path], ...] = (make_zip, make_tar)
GOOD = {"top/images/a.png": b"abc", "top/masks/a.png": b"\0" * 5000, "readme.txt": b"hello"}


def listed(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive: Path, folder: Path, *values: str, limits: Limits | None = None) -> None:
    with pytest.raises(DataError) as caught:
        unpack(archive, folder, limits=limits)
    assert caught.value.code == "D252"
    for value in values:
        assert value in caught.value.message
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("make", MAKERS)
def test_a_good_archive_is_unpacked(tmp_path: Path, make):
    seen: list[tuple[int, int]] = []
    brought = unpack(make(tmp_path / "a", GOOD), tmp_path / "out", progress=lambda *now: seen.append(now))
    assert listed(tmp_path / "out") == GOOD
    assert brought == [tmp_path / "out" / "readme.txt", tmp_path / "out" / "top"]
    assert seen[-1][0] == 5008
    assert stat.S_IMODE((tmp_path / "out" / "readme.txt").stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_packed_tars_are_recognised_by_their_content(tmp_path: Path, mode: str):
    unpack(make_tar(tmp_path / "a.bin", GOOD, mode), tmp_path / "out")
    assert listed(tmp_path / "out") == GOOD


@pytest.mark.parametrize("make", MAKERS)
def test_a_part_of_an_archive_can_be_asked_for(tmp_path: Path, make):
    archive = make(tmp_path / "a", {"repo-1234/CamVid/train/a.png": b"a", "repo-1234/Models/x": b"x"})
    unpack(archive, tmp_path / "out", only="*/CamVid")
    assert listed(tmp_path / "out") == {"train/a.png": b"a"}
    with pytest.raises(DataError, match=r"\*/Kitti") as caught:
        unpack(archive, tmp_path / "other", only="*/Kitti")
    assert caught.value.code == "D252"


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("../out.txt", ""),
        ("a/../../out.txt", ""),
        ("a/./b", ""),
        ("/abs.txt", ""),
        ("C:/windows.txt", ""),
        ("a\\..\\b", ""),
        ("photo\u202egnp.exe", ""),
        ("a\nb", ""),
        ("x" * 256, " 255 bytes"),
        ("C:evil", ""),
        ("\\\\server\\share\\a", ""),
        ("//server/share/a", ""),
        ("a/C:evil", " :,"),
        ("a/b.png:stream", " :,"),
        ("a/aux.png", "Windows"),
        ("CON/a", "Windows"),
        ("a/b. /c", "Windows"),
        ("a?.png", " ?,"),
    ],
)
def test_names_that_lead_elsewhere_refuse_the_whole_archive(tmp_path: Path, make, name: str, value: str):
    if make is make_zip and name == "/abs.txt":
        archive = tmp_path / "a"
        with zipfile.ZipFile(archive, "w") as file:
            entry = zipfile.ZipInfo("abs.txt")
            entry.filename = entry.orig_filename = name
            file.writestr(entry, b"x")
    else:
        archive = make(tmp_path / "a", {"good.txt": b"good", name: b"bad"})
    refused(archive, tmp_path / "out", f"{printable(name)}: ", value)
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a.png", "A.PNG"])
def test_names_that_are_one_file_on_some_systems_are_refused(tmp_path: Path, make, second: str):
    if make is make_zip:
        archive = tmp_path / "a"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a.png", b"1")
            file.writestr(second, b"2")
    else:
        archive = tmp_path / "a"
        with tarfile.open(archive, "w") as file:
            for name in ("a.png", f"./{second}"):
                entry = tarfile.TarInfo(name)
                entry.size = 1
                file.addfile(entry, io.BytesIO(b"1"))
    refused(archive, tmp_path / "out", f"{second}: ")


@pytest.mark.parametrize("make", MAKERS)
def test_two_spellings_of_one_letter_are_one_name(tmp_path: Path, make):
    refused(make(tmp_path / "a", {"caf\u00e9": b"1", "cafe\u0301": b"2"}), tmp_path / "out", "cafe\u0301: ")


@pytest.mark.parametrize("make", MAKERS)
def test_a_file_cannot_also_be_a_folder(tmp_path: Path, make):
    refused(make(tmp_path / "a", {"a": b"1", "a/b": b"2"}), tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes):
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        entry = tarfile.TarInfo("innocent")
        entry.type, entry.linkname = kind, "/etc/passwd"
        file.addfile(entry)
        through = tarfile.TarInfo("innocent/x")
        through.size = 1
        file.addfile(through, io.BytesIO(b"x"))
    refused(tmp_path / "a.tar", tmp_path / "out", "innocent: ")


def test_a_link_in_a_zip_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(entry, "/etc/passwd")
    refused(tmp_path / "a.zip", tmp_path / "out", "link: ")


def test_a_name_is_checked_beyond_a_zero_byte(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("ab.txt", b"x")
    data = (tmp_path / "a.zip").read_bytes().replace(b"ab.txt", b"a\0.txt")
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", tmp_path / "out", "a\\x00.txt: ")


@pytest.mark.parametrize("make", MAKERS)
def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, make):
    bomb = {f"{number}.txt": b"\0" * 1_000_000 for number in range(20)}
    limits = Limits(slack=100_000) if make is make_zip else Limits(slack=100_000, ratio=0)
    refused(make(tmp_path / "a", bomb), tmp_path / "out", "1000000 bytes", limits=limits)


def test_a_packed_tar_is_a_bomb_by_its_total(tmp_path: Path):
    archive = make_tar(tmp_path / "a.tgz", {"x": b"\0" * 30_000_000}, "w:gz")
    refused(archive, tmp_path / "out", "30000000 bytes")


@pytest.mark.parametrize("make", MAKERS)
def test_too_many_members_are_refused(tmp_path: Path, make):
    archive = make(tmp_path / "a", {str(number): b"" for number in range(11)})
    refused(archive, tmp_path / "out", "10 members", limits=Limits(members=10))


def test_members_that_share_their_bytes_are_refused(tmp_path: Path):
    make_zip(tmp_path / "a.zip", {"one": b"x" * 1000}, zipfile.ZIP_STORED)
    data = (tmp_path / "a.zip").read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry, tail = data[start:end], bytearray(data[end:])
    again = entry.replace(b"one", b"two")
    tail[8:12] = (2).to_bytes(2, "little") * 2
    tail[12:16] = (2 * len(entry)).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data[:start] + entry + again + bytes(tail))
    refused(tmp_path / "a.zip", tmp_path / "out", "overlap")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_truncated_archive_leaves_nothing(tmp_path: Path, make, share: float):
    archive = make(tmp_path / "a", {str(number): bytes([number]) * 40_000 for number in range(5)})
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    refused(archive, tmp_path / "out")


def test_damaged_bytes_are_noticed(tmp_path: Path):
    import os

    archive = make_zip(tmp_path / "a.zip", {"a": os.urandom(5000)})
    data = bytearray(archive.read_bytes())
    data[2000] ^= 255
    archive.write_bytes(data)
    refused(archive, tmp_path / "out", "damaged")


def test_a_web_page_is_named(tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(b"<html>not found</html>")
    refused(tmp_path / "a.zip", tmp_path / "out", "web page")


@pytest.mark.parametrize("make", MAKERS)
def test_files_that_exist_are_kept_and_folders_joined(tmp_path: Path, make):
    (tmp_path / "out" / "top").mkdir(parents=True)
    (tmp_path / "out" / "top" / "mine.txt").write_bytes(b"mine")
    (tmp_path / "out" / "readme.txt").write_bytes(b"mine, too")
    unpack(make(tmp_path / "a", GOOD), tmp_path / "out")
    assert listed(tmp_path / "out") == {**GOOD, "readme.txt": b"mine, too", "top/mine.txt": b"mine"}
