from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import write_dataset

from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.evaluation.shards.units import divide, refuse_changed


@pytest.mark.parametrize(
    ("images", "batch", "length"),
    [(0, 1, 4), (3, 1, 4), (100, 1, 4), (1000, 1, 12), (1000, 8, 32), (100_000, 8, 256), (100_000, 100, 400)],
)
def test_units_are_whole_batches_and_few(images: int, batch: int, length: int):
    samples = [Sample(str(number), Path(f"{number}.png"), None) for number in range(images)]
    units = divide(samples, batch)
    assert [place for unit in units for place in unit.places] == list(range(images))
    assert {len(unit.places) for unit in units[:-1]} <= {length}
    assert all(unit.places.start % batch == 0 for unit in units)
    assert len({unit.name for unit in units}) == len(units)


def test_a_name_changes_with_image_and_mask_alone(tmp_path: Path):
    square = np.zeros((4, 4), np.uint8)
    dataset = write_dataset(tmp_path, [(square, square)] * 9)
    samples = dataset.samples("val")
    before = divide(samples, 1)
    assert divide(samples, 1) == before
    for number, place in enumerate((0, 5)):
        path = samples[place].image_path if number else samples[place].mask_path
        assert path is not None
        os.utime(path, (1, 1))
        after = divide(samples, 1)
        assert [one == other for one, other in zip(before, after, strict=True)] == [place >= 4, place < 4, True]
        with pytest.raises(DataError) as caught:
            refuse_changed(before[place // 4], samples, dataset)
        assert caught.value.code == "D271"
        refuse_changed(after[place // 4], samples, dataset)
        before = after
    with pytest.raises(DataError):
        refuse_changed(before[2], samples[:8], dataset)
