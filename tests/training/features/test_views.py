"""Files of views: which are computed, what they hold, and what is said where there is no room for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from observers import Told

from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import ResourceError
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Data
from pixelwise.records.run_folder import read_recipe
from pixelwise.storage import atomic
from pixelwise.training.batches import TrainingPairs
from pixelwise.training.features.views import Kept, Row, batches_of_one, keep_views, opened, stored

KEPT = Kept("teachers' answers", "distillation.cache_views", "train", 2)


@pytest.fixture
def pairs(tiny_run: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingPairs:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = apply_overrides(read_recipe(tiny_run), ["augment.flip=0.5"])
    dataset = open_dataset(Data(dataset="folder"), tiny_data)
    return TrainingPairs(dataset, dataset.samples("train")[:3], recipe)


def numbers(view: int, indices: Sequence[int]) -> Iterator[Row]:
    for index in indices:
        yield (np.array([view, index]),)


def test_rows_are_in_the_order_of_the_images_and_computed_once_per_view(pairs: TrainingPairs):
    asked: list[int] = []

    def compute(view: int, indices: Sequence[int]) -> Iterator[Row]:
        asked.append(view)
        yield from numbers(view, indices)

    done: list[tuple[object, ...]] = []
    told = Told(progress=lambda *given: done.append(given))
    files = keep_views(KEPT, "ab", "cd", pairs, compute, told)
    assert [opened(path, 3)[index][0].tolist() for path in files for index in range(3)] == [
        [view, index] for view in (0, 1) for index in range(3)
    ]
    assert done[-1][-2:] == (6, 6)
    assert asked == [0, 0, 1]  # the first time to estimate the size
    files[1].unlink()
    assert keep_views(KEPT, "ab", "cd", pairs, compute, told) == files
    assert asked == [0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="holds 3 rows; expected 4"):
        opened(files[0], 4)


def test_without_room_the_field_is_named_that_asks_for_it(pairs: TrainingPairs, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(pairs.dataset.root)._replace(free=0)
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: usage)
    told = r"the teachers' answers of 3 images \(distillation.cache_views\)"
    with pytest.raises(ResourceError, match=told) as caught:
        keep_views(KEPT, "ab", "cd", pairs, numbers, Told())
    assert "lower distillation.cache_views (0 keeps no teachers' answers)" in caught.value.help


def test_a_batch_of_one_is_the_view_of_its_image(pairs: TrainingPairs):
    found = list(batches_of_one(pairs, 1, [2, 0]))
    for batch, index in zip(found, (2, 0), strict=True):
        item = pairs[1, index]
        assert isinstance(item, tuple)
        assert np.array_equal(batch.images[0].numpy(), item[0])


def test_values_that_float16_cannot_hold_are_kept_in_float32():
    assert stored(torch.tensor([1.0, -65504.0])).dtype == np.float16
    assert stored(torch.tensor([1.0, 65536.0])).tolist() == [1.0, 65536.0]
