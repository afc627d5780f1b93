import os
from pathlib import Path

import pytest

from pixelwise.pages.live import tailing
from pixelwise.pages.live.tailing import Tail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def append(path: Path, content: bytes) -> None:
    with open(path, "ab") as file:
        file.write(content)


def test_each_line_is_read_once_and_a_torn_one_when_it_is_complete(path: Path):
    tail = Tail(path)
    assert list(tail.lines()) == []
    append(path, b"one\ntw")
    assert list(tail.lines()) == [b"one"]
    assert list(tail.lines()) == []
    append(path, b"o\n\nthree\n")
    assert list(tail.lines()) == [b"two", b"", b"three"]
    assert tail.restarts == 0


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_lines_do_not_depend_on_how_much_is_read_at_once(path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tailing, "CHUNK", chunk)
    append(path, b"one\ntwo\n\nlast")
    assert list(Tail(path).lines()) == [b"one", b"two", b""]


def replaced(path: Path) -> None:
    path.with_name("new").write_bytes(b"one\nother\nthree\nfour\n")
    os.replace(path.with_name("new"), path)


def shortened(path: Path) -> None:
    os.truncate(path, 4)


def rewritten(path: Path) -> None:
    path.write_bytes(b"other\nand longer than before\n")


@pytest.mark.parametrize("change", [replaced, shortened, rewritten])
def test_a_file_that_became_another_is_read_anew(path: Path, change):
    append(path, b"one\ntwo\nthree\n")
    tail = Tail(path)
    assert len(list(tail.lines())) == 3
    change(path)
    assert list(tail.lines()) == path.read_bytes().split(b"\n")[:-1]
    assert tail.restarts == 1


def test_a_file_that_is_gone_is_read_anew_when_it_is_there_again(path: Path):
    append(path, b"one\n")
    tail = Tail(path)
    list(tail.lines())
    path.unlink()
    assert list(tail.lines()) == []
    append(path, b"one\n")
    assert list(tail.lines()) == [b"one"]
    assert tail.restarts == 1


def test_only_what_was_added_is_read(path: Path, monkeypatch: pytest.MonkeyPatch):
    append(path, b"x" * 99 + b"\n" + b"y" * 99 + b"\n" * 500)
    tail = Tail(path)
    list(tail.lines())
    monkeypatch.setattr(tailing, "CHUNK", 7)  # so that a second reading from the beginning would be seen
    append(path, b"new\n")
    reads: list[int] = []
    complete = tail._complete
    monkeypatch.setattr(tail, "_complete", lambda content: (reads.append(len(content)), complete(content))[1])
    assert list(tail.lines()) == [b"new"]
    assert sum(reads) == 4


def test_a_line_that_is_too_long_is_left_out(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tailing, "CHUNK", 8)
    monkeypatch.setattr(tailing, "LONGEST_LINE", 10)
    append(path, b"one\n" + b"x" * 100)
    tail = Tail(path)
    assert list(tail.lines()) == [b"one"]
    assert len(tail._torn) <= 10 + 8
    append(path, b"x\ntwo\n")
    assert list(tail.lines()) == [b"two"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_not_waited_for(path: Path):
    os.mkfifo(path)
    assert list(Tail(path).lines()) == []
