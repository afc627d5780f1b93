import errno
import os
import shutil
import stat
import sys
import time
from pathlib import Path

import pytest

from pixelwise.machine import files
from pixelwise.machine.files import disk_room, flush, is_disk_full, let_others_read, link_new, rename, replace_file


def busy(number: int) -> PermissionError:
    """What Windows raises."""
    error = PermissionError(errno.EACCES, "in use")
    error.winerror = number  # type: ignore[attr-defined]
    return error


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, instead of waiting."""
    waited: list[float] = []
    monkeypatch.setattr(files.time, "sleep", waited.append)
    return waited


@pytest.mark.parametrize(("function", "name"), [(replace_file, "replace"), (rename, "rename")])
def test_renaming_waits_for_programs_that_have_the_file_open(
    function, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
):
    (tmp_path / "a").write_bytes(b"a")
    real, refusals = getattr(os, name), [busy(5), busy(32), busy(33)]

    def refusing(*paths: Path) -> None:
        if refusals:
            raise refusals.pop(0)
        real(*paths)

    monkeypatch.setattr(os, name, refusing)
    function(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path) == ["b"]
    assert pauses == [0.01, 0.05, 0.1]


def test_renaming_waits_less_than_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]):
    def refusing(*_: Path) -> None:
        raise busy(32)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(PermissionError):
        replace_file(tmp_path / "a", tmp_path / "b")
    assert 0.5 < sum(pauses) < 1


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "no"), FileNotFoundError(errno.ENOENT, "no"), busy(80)]
)
def test_permanent_errors_are_raised_at_once(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
):
    def refusing(*_: Path) -> None:
        raise error

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(type(error)):
        replace_file(tmp_path / "a", tmp_path / "b")
    assert pauses == []


def test_files_and_the_names_in_folders_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a").write_bytes(b"a")
    flushed: list[tuple[Path, int]] = []
    monkeypatch.setattr(os, "open", lambda path, flags: flushed.append((path, flags)) or 99)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(os, "close", lambda descriptor: None)
    flush(tmp_path / "a")
    flush(tmp_path)
    # Linux opens no folder for writing; Windows writes out nothing else.
    assert flushed == [(tmp_path / "a", os.O_RDWR), (tmp_path, os.O_RDONLY)]
    monkeypatch.setattr(sys, "platform", "win32")
    flush(tmp_path)
    assert len(flushed) == 2


def test_others_may_read_what_was_private(tmp_path: Path):
    (tmp_path / "a").touch(0o600)
    (tmp_path / "b").mkdir(0o700)
    for name, mode in (("a", 0o644), ("b", 0o755)):
        let_others_read(tmp_path / name)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode


def test_every_error_for_a_full_disk_is_recognised():
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        assert is_disk_full(OSError(number, "full"))
    assert not is_disk_full(OSError(errno.EIO, "broken"))
    for number, full in ((112, True), (39, True), (1295, True), (32, False)):
        error = OSError(errno.EINVAL, "of Windows")
        error.winerror = number  # type: ignore[attr-defined]
        assert is_disk_full(error) is full


@pytest.mark.parametrize("without_links", [False, True])
def test_a_second_name_is_given_only_if_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_links: bool
):
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    if without_links:
        monkeypatch.setattr(os, "link", refused)
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two")
    assert link_new(tmp_path / "one", tmp_path / "name")
    assert not link_new(tmp_path / "two", tmp_path / "name")
    assert (tmp_path / "name").read_bytes() == b"one"


def test_a_file_is_made_newer_than_another(tmp_path: Path):
    old, new = tmp_path / "old", tmp_path / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    ahead = time.time_ns() + 10**13
    os.utime(old, ns=(ahead, ahead))
    files.make_newer(new, old)
    made = new.stat().st_mtime_ns
    assert ahead < made < ahead + 10**7
    files.make_newer(new, old)
    assert new.stat().st_mtime_ns == made


def test_the_room_of_a_folder_that_does_not_exist_yet_is_that_above_it(tmp_path: Path):
    found = disk_room(tmp_path / "a" / "b")
    assert found.total == shutil.disk_usage(tmp_path).total
    assert 0 < found.free <= found.total
