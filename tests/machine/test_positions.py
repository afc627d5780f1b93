import os
import threading
from pathlib import Path

import pytest

from pixelwise.machine import positions
from pixelwise.machine.positions import PositionedFile


@pytest.fixture(params=[True, False])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PositionedFile:
    """A file, read as on systems with and without reads by position."""
    if request.param and not hasattr(os, "pread"):
        pytest.skip("this system has no reads by position")
    monkeypatch.setattr(positions, "_READS_AT", request.param)
    (tmp_path / "a").write_bytes(bytes(range(256)))
    return PositionedFile(tmp_path / "a")


def test_parts_are_read_wherever_they_are(file: PositionedFile):
    assert file.size == 256
    assert file.read(250, 3) == b"\xfa\xfb\xfc"
    assert file.read(0, 1) == b"\x00"
    assert file.read(254, 2**62) == b"\xfe\xff"
    assert file.read(300, 5) == b""


def test_threads_do_not_move_each_others_position(file: PositionedFile):
    wrong: list[int] = []

    def work(first: int) -> None:
        for step in range(300):
            place = (first + step) % 256
            if file.read(place, 1) != bytes([place]):
                wrong.append(place)

    threads = [threading.Thread(target=work, args=(61 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_is_no_file_is_refused(tmp_path: Path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(OSError):
            PositionedFile(path)
