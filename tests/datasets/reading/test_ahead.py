import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from pixelwise.datasets.reading import ahead
from pixelwise.datasets.reading.ahead import fetched_ahead, is_far
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.storage.stores.members import Member, Place
from pixelwise.storage.stores.store import MemoryStore


class FarStore(MemoryStore):
    far = True
    reads = 0

    def read(self, name: str, offset: int, size: int) -> bytes:
        self.reads += 1
        return super().read(name, offset, size)


def test_files_are_read_a_few_samples_ahead():
    store = FarStore(b"ab" * 50)
    digests = [hashlib.sha256(one).digest() for one in (b"a", b"b")]
    samples = []
    for start in range(0, 100, 2):
        image, mask = (
            Member(f"{start}.{offset}", Place(store, "a.tar", start + offset, 1, digests[offset], start, start + 2))
            for offset in (0, 1)
        )
        samples.append(Sample(str(start), image, mask))
    given = fetched_ahead(samples)
    assert next(given) is samples[0]
    assert store.reads == 1  # neighbours are one request
    assert [one.image_path.read_bytes() for one in samples[: ahead.TOGETHER]] == [b"a"] * ahead.TOGETHER
    assert store.reads == 1
    assert [one.id for one in given] == [one.id for one in samples[1:]]
    assert store.reads == 4
    assert samples[49].image_path.read_bytes() == b"a"
    assert store.reads == 4


def test_only_addresses_are_far(dataset_of: Callable[..., Dataset]):
    assert not is_far(dataset_of())
    assert is_far(msgspec.structs.replace(dataset_of(), root=Path("s3:/bucket/photos")))
