import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixelwise.errors import RunLockedError
from pixelwise.machine.locks import take_lock
from pixelwise.storage import locks
from pixelwise.storage.atomic import TEMPORARY_PREFIX, remove_leftovers, write_text
from pixelwise.storage.locks import (
    is_held,
    keep_in_use,
    lock_if_free,
    run_lock,
    shared_lock,
    work_lock,
    writing_alone,
)


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path):
    with (
        run_lock(tmp_path),
        pytest.raises(RunLockedError, match=f"process {os.getpid()} on ") as caught,
        run_lock(tmp_path),
    ):
        pass
    assert caught.value.exit_code == 7


def test_the_lock_of_a_killed_process_does_not_stay(tmp_path: Path):
    script = (
        "import os, signal, sys; from pathlib import Path; from pixelwise.storage.locks import run_lock\n"
        "with run_lock(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    with run_lock(tmp_path):
        assert (tmp_path / "run.lock").exists()


@pytest.mark.parametrize("exists", [False, True])
def test_an_output_has_one_writer_and_keeps_no_trace_of_the_lock(tmp_path: Path, exists: bool):
    output = tmp_path / "deep" / "out"
    if exists:
        output.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    with writing_alone(output):
        for same in (output, tmp_path / "link" / "out", tmp_path / "deep" / ".." / "deep" / "out"):
            with pytest.raises(RunLockedError, match=rf"process {os.getpid()} on ") as caught, writing_alone(same):
                pass
            assert caught.value.exit_code == 7
        with writing_alone(tmp_path / "deep" / "other"), writing_alone(output / "inner"):
            write_text(output / "inner" / "a.txt", "whole")
    assert sorted(path.name for path in tmp_path.rglob("*") if not path.is_dir()) == ["a.txt"]
    with writing_alone(output):
        pass


def test_a_refused_start_leaves_no_folders(tmp_path: Path):
    with pytest.raises(ValueError, match="refused"), writing_alone(tmp_path / "a" / "b" / "out"):
        raise ValueError("refused")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_an_output_ends_with_its_process_and_is_cleared_by_the_next_writer(tmp_path: Path):
    script = (
        "import os, signal, sys; from pathlib import Path; from pixelwise.storage.locks import writing_alone\n"
        "with writing_alone(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "out")], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(TEMPORARY_PREFIX)
    with writing_alone(tmp_path / "out"):
        assert remove_leftovers(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "out")], check=False)
    assert remove_leftovers(tmp_path, unknown=False) == [left]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_within_a_read_only_one_is_locked_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output = tmp_path / "out"
    output.mkdir()

    def take(path: Path, *, shared: bool = False):
        if path.parent == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return take_lock(path, shared=shared)

    monkeypatch.setattr(locks, "take_lock", take)
    with writing_alone(output), pytest.raises(RunLockedError), writing_alone(output):
        pass
    assert list(output.iterdir()) == []
    with writing_alone(tmp_path / "missing"):  # no lock is possible, and none is needed to fail
        pass


def test_a_free_work_lock_is_taken_without_waiting(tmp_path: Path):
    waited: list[int] = []
    folder = tmp_path / "new"
    with work_lock(folder, lambda: waited.append(1)):
        assert is_held(folder)
    assert not is_held(folder)
    assert not is_held(tmp_path / "never made")
    assert not waited


HOLDER = (
    "import sys; from pathlib import Path; from pixelwise.storage.locks import {name}\n"
    "{hold}\n"
    "print('held', flush=True); sys.stdin.read()"
)
WORKING = HOLDER.format(name="work_lock", hold="lock = work_lock(Path(sys.argv[1])); lock.__enter__()")
USING = HOLDER.format(name="keep_in_use", hold="keep_in_use(Path(sys.argv[1]))")


@contextlib.contextmanager
def other_process(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock until it is told to end."""
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_work_lock_waits_for_another_process_and_reports_it_once(tmp_path: Path):
    waited: list[float] = []
    with other_process(WORKING, tmp_path) as other:
        assert is_held(tmp_path)
        assert other.stdin is not None

        def waiting() -> None:
            waited.append(time.monotonic())
            threading.Timer(0.3, other.stdin.close).start()  # type: ignore[union-attr]

        with work_lock(tmp_path, waiting):
            taken = time.monotonic()
    assert len(waited) == 1
    assert taken - waited[0] >= 0.25
    assert not is_held(tmp_path)


def test_the_work_lock_of_a_killed_process_is_free(tmp_path: Path):
    waited: list[int] = []
    with other_process(WORKING, tmp_path) as other:
        other.kill()
        other.wait()
        with work_lock(tmp_path, lambda: waited.append(1)):
            assert is_held(tmp_path)
    assert not waited


def test_without_support_for_locks_the_work_is_done_anyway(tmp_path: Path):
    (tmp_path / "lock").mkdir()
    with work_lock(tmp_path), lock_if_free(tmp_path) as free:
        assert free
    assert shared_lock(tmp_path) is None


def test_a_folder_in_use_is_held_by_each_of_its_users(tmp_path: Path):
    with other_process(USING, tmp_path) as first, other_process(USING, tmp_path) as second:
        for process in (first, second):
            with lock_if_free(tmp_path) as free:
                assert not free
            process.communicate("")
    with lock_if_free(tmp_path) as free:
        assert free


def test_only_the_last_folders_are_kept_in_use(tmp_path: Path):
    folders = [tmp_path / str(number) for number in range(70)]
    for folder in folders:
        folder.mkdir()
        keep_in_use(folder)
        keep_in_use(folder)
    assert [is_held(folder) for folder in folders] == [False] * 6 + [True] * 64


def test_a_folder_that_was_replaced_is_in_use_again(tmp_path: Path):
    folder = tmp_path / "folder"
    for _ in range(2):
        folder.mkdir()
        keep_in_use(folder)
        assert is_held(folder)
        shutil.rmtree(folder)
    keep_in_use(folder)  # there is none
    assert not folder.exists()


def test_the_lock_of_a_new_folder_is_never_free(tmp_path: Path):
    lock = shared_lock(tmp_path, new=True)
    assert lock is not None
    assert os.listdir(tmp_path) == ["lock"]
    assert is_held(tmp_path)
    lock.release()
    assert not is_held(tmp_path)


def fail_in(folder: Path, *, name: str = "") -> None:
    with run_lock(folder):
        if name:
            (folder / name).write_text("written")
        raise KeyError


def test_a_failed_run_leaves_no_lock_file_and_no_new_folder(tmp_path: Path):
    with pytest.raises(KeyError):
        fail_in(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_failed_run_keeps_existing_folders_and_written_files(tmp_path: Path):
    for folder, name in ((tmp_path / "new", "came"), (tmp_path / "old", "")):
        (tmp_path / "old").mkdir(exist_ok=True)
        with pytest.raises(KeyError):
            fail_in(folder, name=name)
        assert os.listdir(folder) == [name] * bool(name)
    with run_lock(tmp_path / "old"):
        pass
    with pytest.raises(KeyError):
        fail_in(tmp_path / "old")
    assert os.listdir(tmp_path / "old") == ["run.lock"]


def test_a_lock_that_another_process_holds_is_not_removed(tmp_path: Path):
    with run_lock(tmp_path / "run"):
        with pytest.raises(RunLockedError):
            fail_in(tmp_path / "run")
        assert (tmp_path / "run" / "run.lock").is_file()
