from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.auditing.examination import Examination
from pixelwise.datasets.auditing.sums import SplitSums
from pixelwise.datasets.labels import table_of
from pixelwise.datasets.reading.images import ImageFacts
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError

CLASSES = tuple("abcdefghij")  # more than the bits of a byte


def sums_of(*examinations: Examination) -> SplitSums:
    dataset = Dataset(
        name="folder",
        root=Path("/data"),
        classes=CLASSES,
        palette=((0, 0, 0),) * len(CLASSES),
        label_table=table_of({}),
        splits={},
        reading=Reading(),
    )
    sums = SplitSums(dataset, len(examinations))
    for examination in examinations:
        sums.add(examination)
    return sums


def pair(id: str, counts: dict[int, int] | None = None, size: tuple[int, int] = (2, 3), **facts: object) -> Examination:
    pixels = None if counts is None else np.array([counts.get(i, 0) for i in range(256)], np.int64)
    return Examination("train", Sample(id, Path(id), None), size=size, pixels=pixels, **facts)  # type: ignore[arg-type]


def test_counts_are_those_of_a_count_by_hand():
    broken = pair("c", errors=[(Path("c"), DataError("D102", "", ""))])
    sums = sums_of(pair("a", {0: 5, 255: 1}), pair("b", {0: 2, 9: 8}, (2, 5)), broken)
    assert (sums.images, sums.area, sums.void_pixels, sums.unusable) == (2, 16, 1, ["c"])
    assert sums.pixels == (7, 0, 0, 0, 0, 0, 0, 0, 0, 8)
    assert sums.images_with_class.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert sums.area_with_class.tolist() == [16, 0, 0, 0, 0, 0, 0, 0, 0, 10]


def test_rows_with_any_of_some_classes():
    sums = sums_of(pair("a", {0: 6}), pair("b"), pair("c", {9: 6}), pair("d", {0: 1, 9: 1, 255: 4}))
    assert sums.rows_with([9]).tolist() == [2, 3]
    assert sums.rows_with([0, 9]).tolist() == [0, 2, 3]
    assert sums.rows_with([1]).tolist() == []


def test_mean_and_deviation_are_those_of_all_pixels(tmp_path: Path):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (height, 4, 3)) for height in (2, 3, 7)]
    facts = ImageFacts(format="PNG", orientation=1, transparent=False, animated=False)
    pairs = [
        pair(
            str(number),
            size=image.shape[:2],
            image=facts,
            channel_means=tuple(image.mean((0, 1))),
            channel_squares=tuple((image**2).mean((0, 1))),
        )
        for number, image in enumerate(images)
    ]
    every = np.concatenate([image.reshape(-1, 3) for image in images]) / 255
    mean, std = sums_of(*pairs, pair("unreadable", size=(0, 0))).normalisation()
    assert mean == pytest.approx(every.mean(0))
    assert std == pytest.approx(every.std(0))
    assert sums_of().normalisation() == ((0.0,) * 3, (1.0,) * 3)
