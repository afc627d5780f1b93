import pickle
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from pixelwise.datasets.shards.facts import Facts, Shard
from pixelwise.datasets.shards.index import Files, Index
from pixelwise.datasets.shards.rows import ShardedSamples, Shards
from pixelwise.storage.stores.members import WHOLE, Member
from pixelwise.storage.stores.store import MemoryStore

FACTS = Facts(format="folder", description="", masks=("mask",), number_of_classes=1, shards=(Shard("a.tar", 10**15),))


def files(ending: str, count: int, offset: int, size: int = 10) -> Files:
    names = pa.array([f"{number:07}{ending}" for number in range(count)], pa.large_string())
    offsets = np.arange(count, dtype=np.int64) * 1000 + offset
    return Files(names, offsets, np.full(count, size, np.int64), np.zeros(count, "V32"))


def shards(count: int, *roles: Files, facts: Facts = FACTS) -> Shards:
    keys = pa.array([f"{number:07}" for number in range(count)], pa.large_string())
    index = Index(facts, {"train": range(count)}, keys, np.zeros(count, np.int32), (files(".jpg", count, 0), *roles))
    return Shards(Path("photos"), MemoryStore(b"x" * 5000), index)


def test_a_sample_says_where_its_files_are():
    sample = shards(3, files(".mask.png", 3, 500)).sample(2)
    assert (sample.id, sample.image_path, sample.mask_path) == (
        "0000002", Path("photos/a.tar/0000002.jpg"), Path("photos/a.tar/0000002.mask.png"),
    )  # fmt: skip
    assert isinstance(sample.image_path, Member)
    assert sample.image_path.place is not None
    place = sample.image_path.place
    assert (place.name, place.offset, place.size, place.begin, place.end) == ("a.tar", 2000, 10, 2000, 2510)


def test_files_far_from_each_other_are_not_read_together():
    sample = shards(1, files(".mask.png", 1, 10**12)).sample(0)
    for path in (sample.image_path, *sample.mask_files):
        assert isinstance(path, Member)
        assert path.place is not None
        assert path.place.end - path.place.begin == 10


def test_a_mask_is_not_read_with_an_image_of_which_parts_are_read():
    large = files(".tif", 1, 0, size=WHOLE + 1)
    made = shards(1, files(".mask.png", 1, WHOLE + 600))
    index = made.index._replace(files=(large, *made.index.files[1:]))
    sample = Shards(made.root, made.store, index).sample(0)
    mask = sample.mask_path
    assert isinstance(mask, Member)
    assert mask.place is not None
    assert (mask.place.begin, mask.place.end) == (WHOLE + 600, WHOLE + 610)


def test_an_image_may_have_no_mask():
    none = files("", 2, 0)._replace(offsets=np.full(2, -1), sizes=np.zeros(2, np.int64))
    found = shards(2, none)
    assert found.sample(1).mask_files == ()
    assert found.digests(1) == ("0000001", bytes(32).hex(), None)


def test_multilabel_samples_have_a_mask_per_class():
    facts = msgspec.structs.replace(FACTS, masks=("mask_0", "mask_1", "mask_ignored"), multilabel=True)
    none = files("", 1, 0)._replace(offsets=np.full(1, -1), sizes=np.zeros(1, np.int64))
    roles = (none, files(".mask.1.png", 1, 20), files(".mask.ignored.png", 1, 40))
    sample = shards(1, *roles, facts=facts).sample(0)
    assert sample.class_masks == (None, Path("photos/a.tar/0000000.mask.1.png"))
    assert sample.ignore_mask == Path("photos/a.tar/0000000.mask.ignored.png")
    assert sample.mask_path == sample.class_masks[1]


def test_samples_are_a_sequence():
    samples = ShardedSamples(shards(10), range(2, 8))
    assert len(samples) == 6
    assert [one.id for one in samples] == [f"{number:07}" for number in range(2, 8)]
    assert samples[-1].id == "0000007"
    assert [one.id for one in samples[1:3]] == ["0000003", "0000004"]
    assert samples[np.int64(0)].id == "0000002"  # type: ignore[call-overload]
    assert samples[0] in samples
    with pytest.raises(IndexError):
        samples[6]
    again = pickle.loads(pickle.dumps(samples))
    assert [one.id for one in again] == [one.id for one in samples]


def test_a_hundred_thousand_samples_take_no_memory_until_they_are_asked_for():
    found = shards(100_000, files(".mask.png", 100_000, 500))
    tracemalloc.start()
    samples = ShardedSamples(found, range(100_000))
    chosen = [samples[number].image_path.name for number in range(0, 100_000, 10_000)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert chosen[3] == "0030000.jpg"
    assert peak < 100_000


def test_samples_are_identified_by_ids_places_and_content():
    def identity(rows: range = range(4), change: int = 0, **others: object) -> str:
        masks = files(".mask.png", 5, 500)
        masks.sha256.view(np.uint8)[-1 - 32] = change
        return ShardedSamples(shards(5, masks, **others), rows).identity()  # type: ignore[arg-type]

    changed = msgspec.structs.replace(FACTS, shards=(Shard("b.tar", 10**15),))
    several = [identity(), identity(range(3)), identity(range(1, 4)), identity(change=1), identity(facts=changed)]
    assert len(set(several)) == len(several)
    assert identity() == identity()
    assert identity(range(3)) == identity(range(3), change=1)
    other_place = shards(5, files(".mask.png", 5, 501))
    assert ShardedSamples(other_place, range(4)).identity() != identity()
