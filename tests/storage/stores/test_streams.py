import io

from pixelwise.storage.stores.store import MemoryStore
from pixelwise.storage.stores.streams import StoreFile, buffered


class Counting(MemoryStore):
    """A store that notes what is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: list[tuple[int, int]] = []

    def read(self, name: str, offset: int, size: int) -> bytes:
        self.reads.append((offset, size))
        return super().read(name, offset, size)


def test_a_file_reads_like_any_other():
    content = bytes(range(256)) * 4
    ours, plain = StoreFile(MemoryStore(content), "a"), io.BytesIO(content)
    for position, whence in ((0, 0), (1000, 0), (-30, 2), (10, 0), (20, 1), (5000, 0), (-5, 1)):
        assert ours.seek(position, whence) == plain.seek(position, whence)
        assert ours.read(40) == plain.read(40)
        assert ours.tell() == plain.tell()
    ours.seek(7)
    assert ours.read() == content[7:]


def test_what_is_passed_over_is_not_read():
    store = Counting(bytes(100_000))
    stream = buffered(store, "a", 100_000)
    for position in (0, 50_000, 50_600, 99_000):
        stream.seek(position)
        assert len(stream.read(512)) == 512
    assert store.reads == [(0, 4096), (50_000, 4096), (99_000, 1000)]
