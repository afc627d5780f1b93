import multiprocessing
import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch.multiprocessing  # noqa: F401  teaches multiprocessing to share tensors

from pixelwise.training import decoded_cache
from pixelwise.training.decoded_cache import SharedPairs


def pairs_of_many_kinds() -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    sizes = [(1, 1), (5, 7), (16, 9), (3, 40)]
    return [
        (random.integers(0, 256, (*size, bands), np.uint8), random.integers(0, 1 << 30, size).astype(dtype))
        for size, bands, dtype in zip(sizes, (3, 1, 4, 3), (np.uint8, np.int32, np.uint8, np.int32), strict=True)
    ]


@pytest.mark.parametrize("block", [1, 200, 1 << 26])
def test_pairs_come_back_as_they_were_however_large_the_blocks_are(block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoded_cache, "_BLOCK_BYTES", block)
    shared = SharedPairs(iter(pairs_of_many_kinds()))
    assert len(shared) == 4
    for index, pair in enumerate(pairs_of_many_kinds()):
        for array, expected in zip(shared[index], pair, strict=True):
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected)


def test_views_of_arrays_are_stored_by_their_content():
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    found, labels = SharedPairs([(image[:, ::-1], image.T)])[0]
    assert found.tolist() == image[:, ::-1].tolist()
    assert labels.tolist() == image.T.tolist()


def change(pickled: bytes) -> None:
    image, _ = pickle.loads(pickled)[1]
    image[0, 0, 0] ^= 255


def test_another_process_maps_the_same_memory_instead_of_a_copy():
    shared = SharedPairs(pairs_of_many_kinds())
    before = int(shared[1][0][0, 0, 0])
    pickled = bytes(ForkingPickler.dumps(shared))
    assert len(pickled) < 4000
    process = multiprocessing.get_context("fork").Process(target=change, args=(pickled,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert int(shared[1][0][0, 0, 0]) == before ^ 255
