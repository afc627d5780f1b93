import numpy as np
import pytest
import torch

from pixelwise.errors import DataError, RecipeError
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
