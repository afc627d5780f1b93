import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError, RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema import Data
from pixelwise.training import loading
from pixelwise.training.loading import Batch, collate


def pair(size: tuple[int, int] = (2, 3), value: int = 0):
    return np.full((*size, 3), value, np.uint8), np.zeros(size, np.uint8), None, f"image {value}"


def test_pairs_are_stacked_in_order_as_uint8():
    batch = collate([pair(value=1), pair(value=2)])
    assert isinstance(batch, Batch)
    assert (batch.images.shape, batch.images.dtype) == ((2, 2, 3, 3), torch.uint8)
    assert batch.images[:, 0, 0, 0].tolist() == [1, 2]
    assert batch.ids == ["image 1", "image 2"]
    assert batch.colors is None


def test_the_first_error_is_handed_on_instead_of_a_batch():
    error = DataError("D101", "a.png: truncated")
    assert collate([pair(), error, pair()]) is error


def test_different_sizes_are_an_error_that_names_them():
    error = collate([pair((2, 3)), pair((4, 5))])
    assert isinstance(error, RecipeError)
    assert "2x3, 4x5" in error.message


def test_errors_survive_the_way_from_a_worker_process():
    import pickle

    error = pickle.loads(pickle.dumps(DataError("D101", "a.png: truncated", "export it again")))
    assert (error.code, error.message, error.help) == ("D101", "a.png: truncated", "export it again")
    assert str(error) == "error[D101]: a.png: truncated\nhelp: export it again"
    with pytest.raises(DataError):
        raise error


@pytest.mark.parametrize(("number", "attempts"), [(errno.EIO, 3), (errno.ENOENT, 1)])
def test_only_failures_that_may_pass_are_tried_again(
    number: int, attempts: int, monkeypatch: pytest.MonkeyPatch, tiny_data: Path
):
    dataset = open_dataset(Data(), tiny_data)
    calls: list[int] = []

    def failing(*arguments: object):
        calls.append(1)
        raise DataError("D131", "images/a.png: cannot be read") from OSError(number, "no")

    monkeypatch.setattr(loading, "read_pair", failing)
    monkeypatch.setattr(loading, "RETRY_SECONDS", 0.0)
    pairs = loading.TrainingPairs(dataset, dataset.samples("train"), recipe("unet-resnet18"))
    error = pairs[0, 0]
    assert isinstance(error, DataError)
    assert len(calls) == attempts
    assert error.code == ("D135" if attempts == 3 else "D131")
    assert "images/a.png" in error.message


def test_the_cache_is_used_when_a_quarter_of_the_memory_is_enough(monkeypatch: pytest.MonkeyPatch, tiny_data: Path):
    samples = open_dataset(Data(), tiny_data).samples("train")
    unet = recipe("unet-resnet18")
    needed = 8 * 48 * 64 * 4
    monkeypatch.setattr(loading, "available_memory", lambda: 4 * needed)
    assert loading.fits_in_memory(samples, unet, (48, 64))
    assert not loading.fits_in_memory(samples, unet, (49, 64))
    assert loading.fits_in_memory(samples, apply_overrides(unet, ["data.cache=memory"]), (4900, 6400))
    assert not loading.fits_in_memory(samples, apply_overrides(unet, ["data.cache=off"]), (1, 1))
