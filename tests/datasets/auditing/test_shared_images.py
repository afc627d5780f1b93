import random
import shlex
from pathlib import Path

import msgspec
import pytest

from pixelwise.datasets.auditing.near_duplicates import NO_SIGNATURE
from pixelwise.datasets.auditing.shared_images import divided_series, leaks, near_duplicates
from pixelwise.datasets.auditing.sums import SplitSums
from pixelwise.datasets.labels import table_of
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.samples import Dataset, Reading, Sample

ROOT = Path("/data")


def dataset_of(numbers: dict[str, int]) -> Dataset:
    splits = {
        split: tuple(Sample(f"{i}", ROOT / f"{split}/{i}.png", None) for i in range(number))
        for split, number in numbers.items()
    }
    return Dataset(
        name="folder", root=ROOT, classes=("a",), palette=((0, 0, 0),), label_table=table_of({}), splits=splits,
        reading=Reading(),
    )  # fmt: skip


def sums_of(dataset: Dataset, contents: dict[str, list[int]]) -> dict[str, SplitSums]:
    """Contents are numbers; 0 is a file that cannot be read."""
    sums = {split: SplitSums(dataset, len(samples)) for split, samples in dataset.splits.items()}
    for split, some in contents.items():
        for row, content in enumerate(some):
            sums[split].looks.set(row, f"{content:02x}" * 32 if content else "", NO_SIGNATURE)
    return sums


def test_images_of_two_splits_with_one_content_are_named_in_pairs():
    contents = {"train": [5, 5, 7, 0], "val": [0, 7, 9], "test": [5, 7, 7]}
    dataset = dataset_of({split: len(some) for split, some in contents.items()})
    all_three, two = sorted(leaks(dataset, sums_of(dataset, contents)), key=lambda found: -found.total)
    assert all_three.files == ("train/2.png", "val/1.png", "test/1.png")
    assert two.files == ("train/0.png", "test/0.png")
    assert two.message.startswith(
        "1 image is in train and test with identical content, e.g. train/0.png and test/0.png"
    )


@pytest.mark.parametrize("seed", range(20))
def test_leaks_are_those_of_a_table_of_all_contents(seed: int):
    chance = random.Random(seed)
    contents = {split: [chance.randrange(25) for _ in range(chance.randrange(20))] for split in ("a", "b", "c", "d")}
    dataset = dataset_of({split: len(some) for split, some in contents.items()})
    first: dict[int, dict[str, str]] = {}
    for split, some in contents.items():
        for row, content in enumerate(some):
            if content:
                first.setdefault(content, {}).setdefault(split, f"{split}/{row}.png")
    expected: dict[tuple[str, ...], list[str]] = {}
    for paths in first.values():
        if len(paths) > 1:
            expected.setdefault(tuple(paths), []).extend(paths.values())
    found = leaks(dataset, sums_of(dataset, contents))
    assert [(one.files, one.total) for one in found] == [(tuple(f[:5]), len(f)) for f in expected.values()]
    assert all(f" in {' and '.join(where)} with" in one.message for one, where in zip(found, expected, strict=True))


def test_files_that_look_alike_are_counted_once():
    dataset = dataset_of({"train": 2, "val": 2})
    (one, _), twins = dataset.splits["train"], dataset.splits["val"]
    (found,) = near_duplicates(dataset, {("train", "val"): [(one, twin, 3) for twin in twins]})
    assert (found.files, found.total) == (("train/0.png", "val/0.png", "val/1.png"), 3)
    assert "2 images of val look like images of train, e.g. val/0.png looks like train/0.png" in found.message


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ([f"{drive}_{frame}" for drive in ("lane", "park") for frame in range(20)], "^[^_]+"),
        ([f"{drive}-{frame}" for drive in ("lane", "park") for frame in range(20)], "^[^-]+"),
        ([f"{drive}_{frame}" for drive in map(chr, range(97, 109)) for frame in range(4)], None),  # kept together
        ([letter * 2 for letter in map(chr, range(97, 123))], None),
        ([f"{frame:04d}" for frame in range(40)], None),
    ],
)
def test_series_that_data_without_splits_divides_are_said(names: list[str], pattern: str | None):
    samples = [Sample(name, ROOT / f"{name}.png", None) for name in names]
    dataset = msgspec.structs.replace(dataset_of({}), splits=divided(samples), divided=True)
    found = divided_series(dataset)
    assert [one.code for one in found] == (["W265"] if pattern else [])
    assert divided_series(msgspec.structs.replace(dataset, divided=False)) == []
    if pattern:
        assert "these show 2 series" in found[0].message
        command = found[0].fix.split("`")[1]
        assert shlex.split(command) == ["pixelwise", "data", "split", "/data", "--group", pattern]
    if pattern:
        # `data split` divides neither masks per class nor shards.
        several = msgspec.structs.replace(dataset, multilabel=True)
        away = msgspec.structs.replace(dataset, root=Path("s3://bucket/photos"))
        for other in (several, away):
            (one,) = divided_series(other)
            assert one.fix.startswith("give the data splits that keep each series together")
