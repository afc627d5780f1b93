import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pixelwise.storage import spilled
from pixelwise.storage.cache_contents import clear_cache
from pixelwise.storage.spilled import SpilledRows, remove_spilled

NUMBER, WIDTH = 50, 3


@pytest.fixture(params=["memory", "file", "full disk", "no folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where rows are: blocks of eight of them in a file, one that is full after two blocks, or in memory."""
    (tmp_path / "file").touch()
    no_folder = request.param == "no folder"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" if no_folder else tmp_path))
    monkeypatch.setattr(spilled, "_BLOCK", 8)
    monkeypatch.setattr(spilled, "_KEPT", 100 if request.param == "memory" else 10)
    if request.param == "full disk":
        unnamed_file = spilled.unnamed_file
        monkeypatch.setattr(spilled, "unnamed_file", lambda: Full(unnamed_file()))
    return request.param


class Full:
    """A file that takes two blocks and a part of the third."""

    def __init__(self, file: object) -> None:
        self.file, self.free = file, 2 * 8 * WIDTH + 5

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def write(self, content: bytes) -> int:
        written = min(len(content), self.free)
        self.free -= written
        return self.file.write(content[:written])  # type: ignore[attr-defined]


@pytest.mark.parametrize("order", ["ascending", "any"])
def test_rows_are_what_was_set(place: str, order: str):
    random = np.random.default_rng(len(place))
    expected = random.integers(1, 256, (NUMBER, WIDTH)).astype(np.uint8)
    expected[[0, 7, 8, 30, 49]] = 0  # never set
    rows, found = np.flatnonzero(expected[:, 0]), SpilledRows(NUMBER, WIDTH)
    random.shuffle(rows) if order == "any" else None
    for done, row in enumerate(rows.tolist()):
        found.set(row, expected[row].tobytes())
        assert done % 7 or found[row].tolist() == expected[row].tolist()
    assert len(found) == NUMBER
    for wanted in (np.arange(NUMBER), random.integers(0, NUMBER, 70), np.array([9, 9, 7]), np.zeros(0, np.int64)):
        assert np.array_equal(found[wanted], expected[wanted])
    assert [found[row].tolist() for row in (49, 0, 17)] == expected[[49, 0, 17]].tolist()


def test_a_file_of_rows_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rows = SpilledRows(20_000, WIDTH)
    for row, content in itertools.product((0, 19_999), (b"abc",)):
        rows.set(row, content)
    assert rows[np.array([19_999, 5])].tolist() == [[97, 98, 99], [0, 0, 0]]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_stays_until_its_process_ends_and_what_a_killed_one_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = (
        "import sys; from pixelwise.storage.spilled import spilled_folder\n"
        "with spilled_folder() as folder:\n"
        "    (folder / 'large').write_bytes(bytes(100)); print(folder, flush=True); sys.stdin.read()"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        os.utime(folder, (0, 0))  # no longer young enough to be one that is just being made
        remove_spilled()
        assert list(clear_cache().left.values()) == ["is in use by a process"]
        assert (folder / "large").stat().st_size == 100
        process.kill()
    remove_spilled()
    assert list((tmp_path / "pixelwise").iterdir()) == []
