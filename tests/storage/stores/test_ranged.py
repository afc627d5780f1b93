import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixelwise.storage.stores import ranged
from pixelwise.storage.stores.ranged import BLOCK, RangedFile
from pixelwise.storage.stores.versions import ChangedFileError, Versions

CONTENT = random.Random(3).randbytes(10 * BLOCK + 100)
BEGIN, SIZE = 512, 9 * BLOCK + 17


class Noting:
    """A store of another machine with one file, which notes what is read."""

    far = by_bytes = True
    mark = "first"

    def __init__(self) -> None:
        self.reads: list[tuple[int, int]] = []

    def size(self, name: str) -> int:
        return len(CONTENT)

    def read(self, name: str, offset: int, size: int) -> bytes:
        self.reads.append((offset, size))
        return CONTENT[offset : offset + size]

    def read_marked(self, name: str, offset: int, size: int) -> tuple[bytes, str]:
        return self.read(name, offset, size), self.mark


@pytest.fixture
def store() -> Iterator[Noting]:
    ranged._kept.clear()
    yield Noting()
    ranged._kept.clear()


def test_it_reads_like_a_file_of_that_content(store: Noting, tmp_path: Path):
    (tmp_path / "a").write_bytes(CONTENT[BEGIN : BEGIN + SIZE])
    choose = random.Random(1)
    with open(tmp_path / "a", "rb") as plain, RangedFile(store, "a.tar", BEGIN, SIZE) as file:
        for _ in range(200):
            where, whence = choose.choice([(choose.randrange(SIZE + 9), 0), (-choose.randrange(SIZE), 2)])
            assert file.seek(where, whence) == plain.seek(where, whence)
            size = choose.choice([0, 1, 100, BLOCK, 3 * BLOCK, -1])
            assert file.read(size) == plain.read(size)
            assert file.tell() == plain.tell()
        plain.seek(5)
        file.seek(5)
        assert io.BufferedReader(file).read() == plain.read()
    assert all(offset >= BEGIN and offset + size <= BEGIN + SIZE for offset, size in store.reads)


def test_a_block_is_asked_for_once_by_whoever_opens_the_file(store: Noting):
    for _ in range(2):
        file = RangedFile(store, "a.tar", BEGIN, SIZE)
        assert file.read(8) == CONTENT[BEGIN : BEGIN + 8]
        file.seek(2 * BLOCK - 1)
        file.read(2)
    assert store.reads == [(BEGIN, BLOCK), (BEGIN + BLOCK, 2 * BLOCK)]


def test_what_is_expected_is_asked_for_by_few_requests(store: Noting):
    file = RangedFile(store, "a.tar", BEGIN, SIZE)
    file.expect([(9 * BLOCK + 10, 100), (0, 10), (BLOCK + 5, BLOCK), (5, 0)])
    assert sorted(store.reads) == [(BEGIN, 3 * BLOCK), (BEGIN + 9 * BLOCK, 17)]
    file.seek(BLOCK + 5)
    assert file.read(BLOCK) == CONTENT[BEGIN + BLOCK + 5 : BEGIN + 2 * BLOCK + 5]
    assert len(store.reads) == 2


def test_the_latest_blocks_are_kept_and_no_more(store: Noting, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranged, "KEPT", 2 * BLOCK)
    file = RangedFile(store, "a.tar", BEGIN, SIZE)
    assert file.read() == CONTENT[BEGIN : BEGIN + SIZE]
    assert len(ranged._kept) == 2
    file.expect([(0, 4 * BLOCK)])  # more than is kept
    assert len(store.reads) == 1


def test_a_file_that_ends_too_early_is_said(store: Noting):
    with pytest.raises(OSError, match="ends before it does"):
        RangedFile(store, "a.tar", BEGIN, len(CONTENT)).read()


def test_what_is_read_is_of_one_version(store: Noting):
    versions = Versions()
    RangedFile(store, "a.tar", BEGIN, SIZE, versions).read(10)
    store.mark = "second"
    assert RangedFile(store, "a.tar", BEGIN, SIZE, versions).read(10) == CONTENT[BEGIN : BEGIN + 10]  # it is here
    # Another member of the same file, which changed.
    with pytest.raises(ChangedFileError):
        RangedFile(store, "a.tar", 0, 100, versions).read(10)
    assert RangedFile(store, "b.tar", 0, 100, versions).read(10) == CONTENT[:10]
    # Whoever opens the data again reads it as it is now, and nothing that was kept before.
    before = len(store.reads)
    assert RangedFile(store, "a.tar", BEGIN, SIZE, Versions()).read(10) == CONTENT[BEGIN : BEGIN + 10]
    assert len(store.reads) == before + 1
