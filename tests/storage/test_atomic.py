import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.errors import ResourceError
from pixelwise.storage.atomic import remove_leftovers, require_space, write_bytes, write_text, writing


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
