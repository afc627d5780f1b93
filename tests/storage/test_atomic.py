import contextlib
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pixelwise.errors import ResourceError
from pixelwise.machine.locks import take_lock
from pixelwise.machine.processes import process_mark
from pixelwise.storage.atomic import (
    LOCK,
    TEMPORARY_PREFIX,
    building_folder,
    filling_folder,
    is_vacant,
    remove_folder,
    remove_leftovers,
    require_space,
    scratch_folder,
    write_bytes,
    write_text,
    writing,
)


def test_a_written_file_has_its_content_and_leaves_nothing_else(tmp_path: Path):
    write_text(tmp_path / "deep" / "a.txt", "grün")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "grün".encode()
    assert os.listdir(tmp_path / "deep") == ["a.txt"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with writing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("place", ["missing", "empty", "link"])
def test_a_folder_is_filled_when_its_content_is_complete(tmp_path: Path, place: str):
    path = tmp_path / "out"
    target = tmp_path / "elsewhere" if place == "link" else path
    if place != "missing":
        target.mkdir()
    if place == "link":
        path.symlink_to(target)

    def fail() -> None:
        with filling_folder(path) as folder:
            write_text(folder / "a.txt", "half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert is_vacant(path)
    assert path.exists() == (place != "missing")
    with filling_folder(path) as folder:
        write_text(folder / "b" / "c.txt", "c")
        write_text(folder / "a.txt", "whole")
        assert is_vacant(path)
        assert folder.stat().st_dev == target.parent.stat().st_dev
    assert path.is_symlink() == (place == "link")
    assert sorted(file.relative_to(path).as_posix() for file in path.rglob("*")) == ["a.txt", "b", "b/c.txt"]
    assert not is_vacant(path)


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_that_somebody_else_fills_meanwhile_is_left_alone(tmp_path: Path, exists: bool):
    path = tmp_path / "out"
    if exists:
        path.mkdir()

    def fill() -> None:
        with filling_folder(path) as folder:
            write_text(folder / "a.txt", "ours")
            write_text(path / "a.txt", "theirs")

    with pytest.raises(FileExistsError):
        fill()
    assert (path / "a.txt").read_text() == "theirs"
    assert [file.name for file in tmp_path.rglob("*")] == ["out", "a.txt"]


def test_a_full_disk_says_what_is_missing_and_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ResourceError, match=r"needs 2\.0 MB, .* MB free") as caught:
            write_bytes(path, bytes(2_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "S601"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_more_than_the_disk_holds_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(ResourceError, match=r"3 checkpoints needs 1000000000000\.0 MB") as caught:
        require_space(tmp_path / "not" / "there", 10**18, "3 checkpoints")
    assert caught.value.exit_code == 6


def test_a_killed_writer_leaves_only_a_temporary_file_that_is_removed_later(tmp_path: Path):
    script = (
        "import os, signal, sys; from pathlib import Path; from pixelwise.storage.atomic import writing\n"
        "with writing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.txt"
    write_text(path, "old")
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert path.read_text() == "old"
    assert len(remove_leftovers(tmp_path)) == 1
    assert os.listdir(tmp_path) == ["a.txt"]


def leave_behind(folder: Path, name: str, *, age: float = 0.0) -> Path:
    path = folder / f"{TEMPORARY_PREFIX}{name}"
    path.mkdir()
    (path / "file").write_text("half")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


@pytest.mark.parametrize("write", ["file", "folder", "scratch"])
def test_whoever_writes_next_removes_what_killed_processes_left(write: str, tmp_path: Path):
    place, pid, start = process_mark().split("-")
    dead = leave_behind(tmp_path, f"{place}-{pid}-{int(start) + 1}-a")
    old = leave_behind(tmp_path, "0000beef-1-1-a", age=100_000)
    kept = [leave_behind(tmp_path, f"{process_mark()}-a"), leave_behind(tmp_path, "0000beef-1-1-b")]

    if write == "file":
        write_text(tmp_path / "a.txt", "new")
    elif write == "folder":
        build(tmp_path / "a", "new")
    else:
        with scratch_folder(tmp_path):
            pass

    assert not dead.exists()
    assert not old.exists()
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize("unknown", [True, False])
def test_a_folder_of_another_computer_stays_as_long_as_its_lock_is_held(unknown: bool, tmp_path: Path):
    used = leave_behind(tmp_path, "0000beef-1-1-a", age=100_000)
    lock = take_lock(used / LOCK, shared=True)
    os.utime(used, (0, 0))
    assert lock is not None
    assert remove_leftovers(tmp_path, unknown=unknown) == []
    lock.release()
    assert remove_leftovers(tmp_path, unknown=unknown) == [used]


def test_a_folder_is_looked_through_once(tmp_path: Path):
    place, pid, start = process_mark().split("-")
    write_text(tmp_path / "a.txt", "new")
    dead = leave_behind(tmp_path, f"{place}-{pid}-{int(start) + 1}-a")
    write_text(tmp_path / "b.txt", "new")

    assert dead.exists()
    assert remove_leftovers(tmp_path) == [dead]


def build(path: Path, content: str, **options: Any) -> None:
    with building_folder(path, **options) as folder:
        assert folder.parent == path.parent
        (folder / "file").write_text(content)
        assert not path.exists() or (path / "file").read_text() == "old"


def test_a_folder_appears_whole(tmp_path: Path):
    path = tmp_path / "deep" / "folder"
    build(path, "new")
    assert (path / "file").read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o755
    assert os.listdir(path.parent) == ["folder"]


@pytest.mark.parametrize(("existing", "content"), [("refuse", "old"), ("replace", "new"), ("keep", "old")])
def test_a_folder_that_exists_is_refused_replaced_or_kept(existing: str, content: str, tmp_path: Path):
    path = tmp_path / "folder"
    build(path, "old")
    with pytest.raises(FileExistsError) if existing == "refuse" else contextlib.nullcontext():
        build(path, "new", existing=existing)
    assert (path / "file").read_text() == content
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_that_fails_is_removed_and_the_old_one_stays(tmp_path: Path):
    path = tmp_path / "folder"
    build(path, "old")

    def fail() -> None:
        with building_folder(path, existing="replace") as folder:
            (folder / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["folder"]


def test_a_full_disk_says_which_folder_it_is_about_and_how_much_it_needs(tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with (
            pytest.raises(ResourceError, match=r"/folder: not enough space: needs 2\.0 MB, .* MB free") as caught,
            building_folder(tmp_path / "folder", needed_bytes=2_000_000) as folder,
        ):
            (folder / "file").write_bytes(bytes(2_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "S601"
    assert os.listdir(tmp_path) == []


def test_a_scratch_folder_is_gone_afterwards_with_what_was_left_in_it(tmp_path: Path):
    with scratch_folder(tmp_path / "deep") as folder:
        (folder / "kept").write_text("kept")
        (folder / "left").write_text("left")
        os.replace(folder / "kept", folder.parent / "kept")
    assert os.listdir(tmp_path / "deep") == ["kept"]


def test_a_folder_is_removed_and_links_in_it_are_not_followed(tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "outside")
    remove_folder(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["outside"]
    with pytest.raises(FileNotFoundError):
        remove_folder(tmp_path / "folder")


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path, mode: int):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    write_text(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", mode)
